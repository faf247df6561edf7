#include "transport/fake_dns.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace {

struct Names {
    std::mutex mutex;  // guards all
    std::condition_variable changed;
    std::map<std::string, std::string> addresses;
    std::map<std::string, int> hanging;  // name → how many wait for it
};

Names& names() {
    static Names all;
    return all;
}

}  // namespace

// Takes the place of the C library's for libcurl too: a program's own symbols go before those of its shared libraries.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
    static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
    std::string name = node ? node : "";
    {
        std::unique_lock lock{names().mutex};
        if (const auto known = names().addresses.find(name); known != names().addresses.end()) {
            name = known->second;
        } else if (const auto hanging = names().hanging.find(name); hanging != names().hanging.end()) {
            ++hanging->second;
            names().changed.notify_all();
            names().changed.wait(lock, [&] { return hanging->second < 0; });
            names().hanging.erase(hanging);
            names().changed.notify_all();
            return EAI_NONAME;
        }
    }
    return real(node ? name.c_str() : nullptr, service, hints, result);
}

namespace fusebox::testing {

FakeName::FakeName(std::string name, std::string address) : name_(std::move(name)) {
    const std::lock_guard lock{names().mutex};
    names().addresses[name_] = std::move(address);
}

FakeName::~FakeName() {
    const std::lock_guard lock{names().mutex};
    names().addresses.erase(name_);
}

HangingName::HangingName(std::string name) : name_(std::move(name)) {
    const std::lock_guard lock{names().mutex};
    names().hanging[name_] = 0;
}

HangingName::~HangingName() {
    std::unique_lock lock{names().mutex};
    int& waiting = names().hanging[name_];
    if (waiting == 0) {
        names().hanging.erase(name_);
        return;
    }
    waiting = -1;
    names().changed.notify_all();
    names().changed.wait(lock, [&] { return !names().hanging.contains(name_); });
}

void HangingName::wait_until_asked() const {
    std::unique_lock lock{names().mutex};
    names().changed.wait(lock, [&] { return names().hanging[name_] > 0; });
}

}  // namespace fusebox::testing
