// What the operations of core and registry cost, beside the baselines that bound them. bench/README.md says how to
// read the figures.
#include "rows.hpp"

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    fusebox::bench::add_baseline_rows();
    fusebox::bench::add_part_rows();
    fusebox::bench::add_breaker_rows();
    fusebox::bench::add_coroutine_rows();
    fusebox::bench::add_policy_rows();
    fusebox::bench::add_registry_rows();
    if (benchmark::RunSpecifiedBenchmarks() == 0) return 1;
    benchmark::Shutdown();
}
