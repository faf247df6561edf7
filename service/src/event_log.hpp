// The log lines of what happens in incidentd: incidents, deliveries, breakers. One function per kind of event.
#pragma once

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/notifications/delivery_event.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::service {

void log_change(const incidents::Change& change);
void log_delivery(const notifications::DeliveryEvent& event);
void log_breaker_event(const CircuitBreaker& breaker, const BreakerEvent& event);
void log_registry_event(const RegistryEvent& event);

}  // namespace fusebox::service
