#include <fusebox/middleware/origin_guard.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;

namespace {

bool passes(NameValues headers, const OriginRules& rules = {}, const char* method = "POST") {
    const auto refusal = check_origin({.method = method, .headers = std::move(headers)}, rules);
    if (refusal) CHECK(refusal->status == 403);
    return !refusal;
}

const std::pair<std::string, std::string> own_host{"Host", "127.0.0.1:8080"};
const OriginRules elsewhere{.hosts_are_checked = false};
const OriginRules with_names{.allowed_hosts = {"Incidents.example", "other.example:8443"}};

}  // namespace

TEST_CASE("loopback has many names, and no other host is taken for one") {
    for (const auto* host : {"localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"}) {
        CAPTURE(host);
        CHECK(is_loopback_host(host));
    }
    for (const auto* host : {"", "127.evil.example", "127.0.0.1.evil.example", "127.0.0.1.5", "127.0.0", "127.0.0.256",
                             "127.0.0.", "127..0.1", "1127.0.0.1", "10.0.0.1", "0.0.0.0",
                             "::", "localhost.evil.example", "mylocalhost", "::ffff:10.0.0.1"}) {
        CAPTURE(host);
        CHECK_FALSE(is_loopback_host(host));
    }
}

TEST_CASE("the host of an authority is what precedes the port") {
    CHECK(host_of("localhost") == "localhost");
    CHECK(host_of("localhost:8080") == "localhost");
    CHECK(host_of("localhost:") == "localhost");
    CHECK(host_of("[::1]:8080") == "::1");
    CHECK(host_of("[::1]") == "::1");
    for (const auto* authority : {"", ":80", "[::1", "[::1]x", "localhost:80@evil.example", "localhost@evil.example",
                                  "localhost/x", "a b", "::1", "[]:1"}) {
        CAPTURE(authority);
        CHECK_FALSE(host_of(authority));
    }
}

TEST_CASE("on loopback Host is a loopback host or an allowed one") {
    for (const auto* host : {"localhost", "localhost:9", "127.0.0.1:8080", "[::1]:8080"}) {
        CAPTURE(host);
        CHECK(passes({{"Host", host}}));
    }
    for (const auto* host : {"evil.example", "evil.example:8080", "", "localhost:x", "127.0.0.1.evil.example"}) {
        CAPTURE(host);
        CHECK_FALSE(passes({{"Host", host}}));
        CHECK_FALSE(passes({{"Host", host}}, {}, "GET"));
    }
    CHECK_FALSE(passes({}));
    CHECK_FALSE(passes({own_host, {"Host", "evil.example"}}));
    CHECK(passes({{"Host", "incidents.example"}}, with_names));
    CHECK(passes({{"Host", "incidents.EXAMPLE:80"}}, with_names));
    CHECK(passes({{"Host", "other.example:8443"}}, with_names));
    CHECK_FALSE(passes({{"Host", "other.example"}}, with_names));
    CHECK_FALSE(passes({{"Host", "x.incidents.example"}}, with_names));
    CHECK(passes({{"Host", "anything.example"}}, elsewhere));
}

TEST_CASE("an Origin is the service's own") {
    CHECK(passes({own_host}));
    CHECK(passes({own_host, {"Origin", "http://127.0.0.1:8080"}}));
    CHECK(passes({own_host, {"Origin", "HTTPS://127.0.0.1:8080"}}));
    for (const auto* origin :
         {"http://evil.example", "http://127.0.0.1:8081", "http://127.0.0.1", "null", "", "127.0.0.1:8080",
          "file://127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", "http://x@127.0.0.1:8080", "http://"}) {
        CAPTURE(origin);
        for (const auto* method : {"GET", "POST"}) {
            CHECK_FALSE(passes({own_host, {"Origin", origin}}, {}, method));
            CHECK_FALSE(passes({own_host, {"Origin", origin}}, elsewhere, method));
        }
    }
    CHECK_FALSE(passes({{"Origin", "http://"}}, elsewhere));
    CHECK_FALSE(passes({own_host, {"Origin", "http://127.0.0.1:8080"}, {"origin", "http://evil.example"}}));
    // Behind a proxy that puts its own name in the place of Host.
    CHECK(passes({own_host, {"Origin", "https://incidents.example"}}, with_names));
    CHECK(passes({own_host, {"Origin", "https://other.example:8443"}}, with_names));
    CHECK_FALSE(passes({own_host, {"Origin", "https://incidents.example:1"}}, with_names));
}

TEST_CASE("a browser that says the page is of another site may not write") {
    for (const auto* site : {"cross-site", "same-site", "anything"}) {
        CAPTURE(site);
        CHECK_FALSE(passes({own_host, {"Sec-Fetch-Site", site}}));
        CHECK_FALSE(passes({own_host, {"sec-fetch-site", site}}, elsewhere, "DELETE"));
        CHECK(passes({own_host, {"Sec-Fetch-Site", site}}, {}, "GET"));
    }
    for (const auto* site : {"same-origin", "none"}) CHECK(passes({own_host, {"Sec-Fetch-Site", site}}));
}

}  // namespace fusebox::test
