// Keeps a thread on one core, so that figures do not depend on where the scheduler puts it.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <cstddef>
#include <vector>

namespace fusebox::bench {

/// The calling thread stays on one of the cores that the process may use: the `index`-th, counted round.
inline void pin_to_core(int index) {
    static const auto cores = [] {
        cpu_set_t allowed;
        CPU_ZERO(&allowed);
        sched_getaffinity(0, sizeof allowed, &allowed);
        std::vector<int> found;
        for (int core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &allowed)) found.push_back(core);
        }
        return found;
    }();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cores[static_cast<std::size_t>(index) % cores.size()], &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

}  // namespace fusebox::bench
