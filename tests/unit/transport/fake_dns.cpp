#include "unit/transport/fake_dns.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace {

struct Waiting {
    int count{0};
    bool released{false};
};

struct Names {
    std::mutex mutex;  // guards all
    std::condition_variable changed;
    std::map<std::string, std::string> addresses;
    std::map<std::string, Waiting> hanging;
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
            Waiting& waiting = hanging->second;
            ++waiting.count;
            names().changed.notify_all();
            names().changed.wait(lock, [&] { return waiting.released; });
            --waiting.count;
            names().changed.notify_all();
            return EAI_NONAME;
        }
    }
    return real(node ? name.c_str() : nullptr, service, hints, result);
}

namespace fusebox::test {

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
    names().hanging[name_] = {};
}

HangingName::~HangingName() {
    std::unique_lock lock{names().mutex};
    Waiting& waiting = names().hanging[name_];
    waiting.released = true;
    names().changed.notify_all();
    names().changed.wait(lock, [&] { return waiting.count == 0; });
    names().hanging.erase(name_);
}

void HangingName::wait_until_asked() const {
    std::unique_lock lock{names().mutex};
    names().changed.wait(lock, [&] { return names().hanging[name_].count > 0; });
}

}  // namespace fusebox::test
