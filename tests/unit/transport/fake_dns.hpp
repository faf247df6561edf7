// Name resolution of this test program: names can be given any address, or a name server that never answers.
#pragma once

#include <string>

namespace fusebox::test {

/// While it lives, `name` resolves to `address` (numeric). Other names are left to the system.
class FakeName {
public:
    FakeName(std::string name, std::string address);
    FakeName(const FakeName&) = delete;
    FakeName& operator=(const FakeName&) = delete;
    ~FakeName();

private:
    std::string name_;
};

/// While it lives, whoever resolves `name` waits.
class HangingName {
public:
    explicit HangingName(std::string name);
    HangingName(const HangingName&) = delete;
    HangingName& operator=(const HangingName&) = delete;
    /// Lets them go on, with "no such name", and waits until they have.
    ~HangingName();
    /// Blocks until somebody waits for the name.
    void wait_until_asked() const;

private:
    std::string name_;
};

}  // namespace fusebox::test
