#include <fusebox/incidents/alert.hpp>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

TEST_CASE("a fingerprint is the SHA-256 of the length-prefixed labels in order") {
    // printf '' | sha256sum
    CHECK(fingerprint({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // printf '9:alertname9:SlowModel8:severity8:critical' | sha256sum
    CHECK(fingerprint({{"severity", "critical"}, {"alertname", "SlowModel"}}) ==
          "4a1bf936d5f6b807ccb71dac3bc425d55d69b995393ed9b551851f1add0d4342");
    // printf '4:name7:h\303\251llo!' | sha256sum: the length counts bytes
    CHECK(fingerprint({{"name", "h\xC3\xA9llo!"}}) ==
          "ff3e7ae9f82b08c62f37c51397e5fdf729a35e59e5998424f7e728b2bcb11c99");
}

TEST_CASE("label sets that read alike when joined have different fingerprints") {
    const auto print = fingerprint({{"a", "bc"}});
    CHECK(print != fingerprint({{"ab", "c"}}));
    CHECK(print != fingerprint({{"a", "b"}, {"c", ""}}));
    CHECK(fingerprint({{"a", ""}}) != fingerprint({}));
    CHECK(fingerprint({{"a", "1:b"}}) != fingerprint({{"a", "1"}, {"b", ""}}));
    CHECK(fingerprint({{"a", "b1:c1:d"}}) != fingerprint({{"a", "b"}, {"c", "d"}}));
    CHECK(fingerprint({{"a", std::string{"\0", 1}}}) != fingerprint({{"a", ""}}));
}

TEST_CASE("only the labels are an alert's identity") {
    Alert one = firing(new_year);
    Alert other = one;
    other.source = "alertmanager";
    other.title = "another title";
    other.annotations = {{"value", "17"}};
    other.severity = Severity::p0;
    CHECK(fingerprint(one.labels) == fingerprint(other.labels));
    other.labels["instance"] = "b";
    CHECK(fingerprint(one.labels) != fingerprint(other.labels));
}

TEST_CASE("an alert's own severity goes before its label, and both before P3") {
    Alert alert;
    CHECK_FALSE(stated_severity(alert));
    CHECK(effective_severity(alert) == Severity::p3);

    alert.labels["severity"] = "page";
    CHECK_FALSE(stated_severity(alert));
    CHECK(effective_severity(alert) == Severity::p3);

    alert.labels["severity"] = "critical";
    CHECK(stated_severity(alert) == Severity::p0);
    CHECK(effective_severity(alert) == Severity::p0);

    alert.severity = Severity::p2;
    CHECK(stated_severity(alert) == Severity::p2);
    CHECK(effective_severity(alert) == Severity::p2);
}

}  // namespace fusebox::test
