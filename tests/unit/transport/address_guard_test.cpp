#include <fusebox/transport/address_guard.hpp>
#include <fusebox/transport/http_client.hpp>

#include <initializer_list>
#include <sstream>

#include "support/catch.hpp"
#include "support/http_test_server.hpp"
#include "unit/transport/fake_dns.hpp"

namespace fusebox::test {

using namespace transport;

namespace {

struct Row {
    const char* what;
    const char* addresses;  ///< separated by spaces
};

void check_each(std::initializer_list<Row> rows, bool expected) {
    for (const Row& row : rows) {
        std::istringstream addresses{row.addresses};
        for (std::string address; addresses >> address;) {
            CAPTURE(row.what, address);
            CHECK(is_public_address(address) == expected);
        }
    }
}

}  // namespace

TEST_CASE("addresses that anybody on the internet can reach are public") {
    check_each(
        {
            {"well-known", "1.1.1.1 8.8.8.8 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1"},
            {"around private", "9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0"},
            {"around carrier-grade NAT", "100.63.255.255 100.128.0.0"},
            {"around loopback and link-local", "126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.0"},
            {"around Azure's host", "168.63.129.15 168.63.129.17"},
            {"around assignments", "1.0.0.0 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0"},
            {"around benchmarks", "198.17.255.255 198.20.0.0"},
            {"around documentation", "192.0.1.255 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0"},
            {"before multicast", "223.255.255.255"},
            {"around the special blocks of IPv6", "2001:200::1 2001:db7:ffff::1 2001:db9::1 3ffe::1 3fff:1000::1"},
            {"NAT64 and 6to4 to the public", "64:ff9b::8.8.8.8 2002:808:808::1"},
        },
        true);
}

TEST_CASE("addresses that lead inside are not public") {
    check_each(
        {
            {"this network, unspecified", "0.0.0.0 0.255.255.255 ::"},
            {"private", "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255"},
            {"carrier-grade NAT", "100.64.0.0 100.127.255.255"},
            {"loopback", "127.0.0.1 127.255.255.255 ::1"},
            {"link-local", "169.254.0.0 169.254.255.255 fe80::1 febf::1 fec0::1"},
            {"metadata", "169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254"},
            {"assignments and 6to4 relays", "192.0.0.0 192.0.0.255 192.88.99.0 192.88.99.255"},
            {"benchmarks", "198.18.0.0 198.19.255.255 2001:2::1"},
            {"documentation", "192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255"},
            {"documentation", "2001:db8::1 2001:db8:ffff::1 3fff::1 3fff:fff::1"},
            {"multicast", "224.0.0.1 239.255.255.255 ff02::1 ff0e::1"},
            {"reserved and broadcast", "240.0.0.1 255.255.255.255"},
            {"IPv4 mapped into IPv6", "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8"},
            {"IPv4 compatible or translated", "::127.0.0.1 ::8.8.8.8 ::ffff:0:8.8.8.8"},
            {"NAT64 to the inside", "64:ff9b::10.0.0.1 64:ff9b::169.254.169.254"},
            {"local NAT64, and what is not NAT64's /96", "64:ff9b:1::8.8.8.8 64:ff9b::1:0808:0808"},
            {"6to4 to the inside", "2002:a00:1:: 2002:7f00:1::1 2002:a9fe:a9fe::1"},
            {"Teredo", "2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2"},
            {"ORCHID and assignments", "2001:10::1 2001:2f::1 2001:1ff::1"},
            {"unique local", "fc00::1 fdff::1"},
            {"discarded or not assigned", "100::1 1fff::1 4000::1 5f00::1"},
        },
        false);
}

TEST_CASE("what is not a plain numeric address is not public") {
    for (const std::string_view address :
         {"", " ", "localhost", "example.com", "8.8.8", "8.8.8.8.", " 8.8.8.8", "8.8.8.8 ", "08.8.8.8", "0x8.8.8.8",
          "134744072", "8.8.8.256", "[2606:4700::1]", "2606:4700::1%eth0", "2606:4700::1/64", "8.8.8.8:80"}) {
        CAPTURE(address);
        CHECK_FALSE(is_public_address(address));
    }
    CHECK_FALSE(is_public_address(std::string_view("8.8.8.8\0.evil", 13)));
    CHECK_FALSE(is_public_address(std::string(5000, '1')));
}

namespace {

HttpClient guarded() { return HttpClient{{.addresses = {.allow_private = false}}}; }

}  // namespace

TEST_CASE("a guarded client refuses the inside, however its address is spelt") {
    HttpTestServer server;
    HttpClient client = guarded();
    const std::string port = ":" + std::to_string(server.port()) + "/secret-path";
    for (const std::string host :
         {"127.0.0.1", "localhost", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "0.0.0.0", "0",
          "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"}) {
        CAPTURE(host);
        const auto response = client.send({.url = "http://" + host + port});
        REQUIRE_FALSE(response);
        CHECK(response.error().kind == HttpError::Kind::blocked_address);
        CHECK(outcome_of(response.error()) == fusebox::Outcome::ignored);
        CHECK(response.error().message.find("secret-path") == std::string::npos);
    }
    CHECK(server.connections() == 0);
}

TEST_CASE("the same spellings reach the inside where it is allowed") {
    HttpTestServer server;
    HttpClient client;
    for (const std::string host : {"127.0.0.1", "localhost", "127.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"}) {
        CAPTURE(host);
        const auto response = client.send({.url = "http://" + host + ":" + std::to_string(server.port()) + "/"});
        REQUIRE(response);
        CHECK(response->status == 200);
    }
}

TEST_CASE("a guarded client judges the address that a name leads to, not the name") {
    HttpTestServer server;
    const std::string url = "http://hooks.example.test:" + std::to_string(server.port()) + "/";
    const FakeName name{"hooks.example.test", "127.0.0.1"};

    CHECK(HttpClient{}.send({.url = url}));
    REQUIRE(server.connections() == 1);

    HttpClient client = guarded();
    const auto response = client.send({.url = url});
    REQUIRE_FALSE(response);
    CHECK(response.error().kind == HttpError::Kind::blocked_address);
    CHECK(server.connections() == 1);
}

}  // namespace fusebox::test
