// A prometheus::Exposer on a free port of the loopback, and what it serves.
#pragma once

#include <string>

#include <httplib.h>
#include <prometheus/exposer.h>

#include "support/catch.hpp"

namespace fusebox::test {

struct ScrapedExposer {
    prometheus::Exposer exposer{"127.0.0.1:0"};

    [[nodiscard]] std::string scrape() const {
        httplib::Client client{"127.0.0.1", exposer.GetListeningPorts().at(0)};
        const auto answer = client.Get("/metrics");
        REQUIRE(answer);
        CHECK(answer->status == 200);
        return answer->body;
    }
};

}  // namespace fusebox::test
