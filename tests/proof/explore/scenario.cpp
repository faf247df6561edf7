#include "scenario.hpp"

#include <memory>
#include <set>

namespace fusebox::test::explore {

Result explore(const Scenario& scenario) {
    std::set<std::string> serial_pictures;  // how executions end whose operations do not overlap
    auto collecting = false;                // while those executions run
    const auto setup = [&](Program& program) {
        detail::cores = scenario.cores;
        const auto world = std::make_shared<World>(scenario.config, scenario.listening);
        if (scenario.prepare) scenario.prepare(*world);
        for (auto& answer : world->answers) answer.clear();
        for (const auto& operations : scenario.threads) {
            program.thread([world, &operations] {
                for (const auto& operation : operations) {
                    begin_operation();
                    operation(*world);
                }
            });
        }
        program.finally([&, world] {
            world->check_books();
            if (scenario.listening) world->check_listener();
            if (scenario.check) scenario.check(*world);
            if (scenario.serializable) {
                const auto picture = world->picture();
                if (collecting) {
                    serial_pictures.insert(picture);
                } else {
                    require(serial_pictures.contains(picture), "no order of whole operations gives: " + picture);
                }
            }
            world->check_recovery();
        });
    };
    if (scenario.serializable) {
        collecting = true;
        auto result = explore(setup, {.granularity = Options::Granularity::operations});
        if (!result.failure.empty()) return result;
        collecting = false;
    }
    return explore(setup);
}

}  // namespace fusebox::test::explore
