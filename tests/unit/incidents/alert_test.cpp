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

TEST_CASE("an alert's own severity goes before its word, and its word before its label") {
    const SeverityWords words{{{"Spicy", Severity::p1}, {"info", Severity::p2}, {"P0", Severity::p4}}};
    Alert alert;
    CHECK_FALSE(stated_severity(alert, words).severity);
    const auto by_label = [&](const char* label) {
        alert.labels["severity"] = label;
        return stated_severity(alert, words);
    };
    CHECK(by_label("critical").severity == Severity::p0);
    CHECK(by_label("CRITICAL").unknown_word.empty());
    CHECK(by_label("sPICY").severity == Severity::p1);
    CHECK(by_label("info").severity == Severity::p2);
    CHECK(by_label("p0").severity == Severity::p0);
    CHECK(by_label("unheard-of").severity == Severity::p2);
    CHECK(by_label("unheard-of").unknown_word == "unheard-of");

    alert.severity_word = "debug";
    CHECK(stated_severity(alert, words).severity == Severity::p4);
    alert.severity_word = "?";
    CHECK(stated_severity(alert, words).unknown_word == "?");
    alert.severity = Severity::p3;
    CHECK(stated_severity(alert, words).severity == Severity::p3);
    CHECK(stated_severity(alert, words).unknown_word.empty());
}

}  // namespace fusebox::test
