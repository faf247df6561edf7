#include "registry_impl.hpp"

namespace fusebox {

Registry::Registry() : Registry(Options{}) {}
Registry::Registry(Options options) : impl_(std::make_shared<Impl>(options.clock ? *options.clock : steady_clock())) {}
Registry::~Registry() { impl_->stop_keeping(); }

std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name) {
    return impl_->get_or_create(name, nullptr, Criticality::degraded);
}
std::shared_ptr<CircuitBreaker> Registry::get_or_create(std::string_view name, const CircuitBreakerConfig& config,
                                                        Criticality criticality) {
    return impl_->get_or_create(name, &config, criticality);
}
std::shared_ptr<CircuitBreaker> Registry::get(std::string_view name) const { return impl_->get(name); }
void Registry::keep_state(std::shared_ptr<StateStore> store, KeepStateOptions options) {
    impl_->keep_state(std::move(store), options.interval);
}
bool Registry::save_now() { return impl_->save_now(); }
void Registry::load(const BreakerSet& set, std::string_view actor) { impl_->load(set, actor); }
bool Registry::remove(std::string_view name) { return impl_->remove(name); }
void Registry::clear() { impl_->clear(); }
Criticality Registry::criticality(std::string_view name) const { return impl_->criticality(name); }
std::uint64_t Registry::listener_errors() const noexcept { return impl_->listener_errors(); }
Subscription Registry::subscribe(RegistryListener listener) { return impl_->subscribe(std::move(listener)); }
Subscription Registry::subscribe_breakers(BreakerListener listener, EventMask mask) {
    return impl_->subscribe_breakers(std::move(listener), mask);
}

Registry& registry() {
    // Never destroyed: a breaker may still be asked for while static objects are.
    static auto& instance = *new Registry;
    return instance;
}

}  // namespace fusebox
