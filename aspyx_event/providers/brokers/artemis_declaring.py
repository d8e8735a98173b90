"""Declaring and checking on Artemis by its management, the same over AMQP 1.0 and over STOMP."""

from __future__ import annotations

from collections.abc import Iterable

from aspyx_event.events import EventDescriptor
from aspyx_event.exceptions import ProviderError
from aspyx_event.listeners import EventListenerDescriptor
from aspyx_event.provider import Target
from aspyx_event.providers.brokers import artemis
from aspyx_event.providers.brokers.artemis_management import Management
from aspyx_event.providers.naming import Naming
from aspyx_event.topology import ADDRESS, DIFFERS, MISSING, QUEUE, UNKNOWN, Difference, Resource, required


class ArtemisTopology:
    """What one provider needs on its Artemis.

    counted: whether the broker tells this protocol how often it has delivered a message.
    """

    def __init__(self, naming: Naming, *, counted: bool) -> None:
        self._naming = naming
        self._counted = counted

    def resources(self, target: Target) -> list[Resource]:
        """What a target needs."""
        return artemis.resources(target, self._naming)

    # -- creating --------------------------------------------------------------------------------------------------

    def declare(self, management: Management, target: Target) -> list[str]:
        """Make sure it exists; findings. Raises ConfigurationError for a queue on another address."""
        if isinstance(target, EventDescriptor):
            management.create_address(target.name)
            return self._settings_findings(management, target)
        listener = target if isinstance(target, EventListenerDescriptor) else None
        options = (
            artemis.options_for_plain(str(target)) if listener is None else artemis.options_for(listener, self._naming)
        )
        found = management.queue(options["name"])
        if found is not None and found.address != options["address"]:
            # STOMP would take the subscription, and hand over the other listener's events.
            raise artemis.misplaced(target, found, options["address"])
        findings: list[str] = []
        if found is None:
            management.create_queue(options)
        elif listener is not None:
            findings = [*artemis.queue_findings(listener, found), *artemis.shared_findings(listener, found)]
        return findings if listener is None else [*findings, *self._settings_findings(management, listener.event)]

    def _settings_findings(self, management: Management, event: EventDescriptor) -> list[str]:
        settings = management.address_settings(event.name)
        if settings is not None and not event.durable:
            return []
        return artemis.settings_findings(event.name, settings, counted=self._counted)

    # -- checking --------------------------------------------------------------------------------------------------

    def require(self, management: Management, target: Target) -> list[str]:
        """Like ``declare``, and creates nothing. Raises MissingResources."""
        findings = required(self.check(management, target))
        if isinstance(target, EventListenerDescriptor) and target.per_process:
            found = management.queue(artemis.options_for(target, self._naming)["name"])
            findings += [] if found is None else artemis.shared_findings(target, found)
        return findings

    def check(self, management: Management, target: Target) -> list[Difference]:
        """Where the broker is not as it has to be for this target."""
        differences: list[Difference] = []
        for resource in self.resources(target):
            if resource.kind == ADDRESS:
                differences += _check_address(management, resource)
            elif resource.kind == QUEUE:
                differences += _check_queue(management, resource, target)
            else:
                differences += self._check_setting(management, resource)
        return differences

    def _check_setting(self, management: Management, resource: Resource) -> list[Difference]:
        settings = management.address_settings(resource.name)
        problem = UNKNOWN if settings is None else DIFFERS
        findings = artemis.settings_findings(resource.name, settings, counted=self._counted)
        return [Difference(resource, problem, finding) for finding in findings]

    def unknown(self, targets: Iterable[Target], error: ProviderError) -> list[Difference]:
        """The answer when this user may not manage: without that, to ask for a queue is to create it."""
        found = [resource for target in targets for resource in self.resources(target)]
        advice = (
            f"only the broker's management can be asked, and cannot be used ({error}); whoever attaches to find out "
            "creates what is missing: check as a user with 'manage' on activemq.management"
        )
        return [Difference(resource, UNKNOWN, advice) for resource in found]


def _check_address(management: Management, resource: Resource) -> list[Difference]:
    wanted = resource.properties["routing-type"]
    found = management.routing_types(resource.name)
    if found is None:
        return [Difference(resource, MISSING, f"create it with routing type {wanted}")]
    if wanted not in found:
        has = " and ".join(sorted(found)) or "no routing type"
        return [Difference(resource, DIFFERS, f"it has {has}, and needs {wanted}: add that routing type")]
    return []


def _check_queue(management: Management, resource: Resource, target: Target) -> list[Difference]:
    found, address = management.queue(resource.name), resource.properties["address"]
    routing = resource.properties["routing-type"]
    if found is None:
        return [Difference(resource, MISSING, f"create it on address {address!r}, {routing}")]
    if found.address != address:
        advice = f"it has to sit on address {address!r}, but {artemis.elsewhere(found)}; set a prefix, or rename it"
        return [Difference(resource, MISSING, advice)]
    findings = artemis.queue_findings(target, found) if isinstance(target, EventListenerDescriptor) else []
    if found.routing != routing:
        findings.append(f"queue {found.name!r} is {found.routing} and has to be {routing}: delete it, create it anew")
    if isinstance(target, str) and not found.durable:
        findings.append(f"queue {found.name!r} is not durable: dead letters do not survive a restart of the broker")
    return [Difference(resource, DIFFERS, finding) for finding in findings]
