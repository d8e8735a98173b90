"""A topology as a piece of Artemis' broker.xml."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from aspyx_event.providers.brokers.artemis import ANYCAST, MULTICAST, STOMP_REPLIES
from aspyx_event.topology import ADDRESS, QUEUE, SETTING, Resource, Topology

_HEAD = """ What aspyx_event needs on this broker: put each address-setting into the address-settings of broker.xml,
        each address (that is not there yet, such as DLQ) into its addresses. The most specific match of an
        address-setting counts; what it does not say comes from the less specific ones. """
_STAYS = " this queue stays when its listeners are gone, and keeps what is sent meanwhile until the broker restarts "
_REPLIES = " for what the management answers over STOMP, where addresses are not created automatically "


def artemis_xml(topology: Topology) -> str:
    """A ``<core>`` with ``<address-settings>`` and ``<addresses>``."""
    core = ET.Element("core", {"xmlns": "urn:activemq:core"})
    core.append(ET.Comment(_HEAD))
    settings, addresses = ET.SubElement(core, "address-settings"), ET.SubElement(core, "addresses")
    branches: dict[str, ET.Element] = {}
    for resource in topology.resources:
        if resource.kind == SETTING:
            _add_setting(settings, resource)
        elif resource.kind == ADDRESS:
            branches[resource.name] = _add_address(addresses, resource.name, resource.properties["routing-type"])
        elif resource.kind == QUEUE:
            _add_queue(branches[resource.properties["address"]], resource)
    for name in sorted(_dead_letter_addresses(topology) - set(branches)):
        ET.SubElement(_add_address(addresses, name, ANYCAST), "queue", {"name": name})
    addresses.append(ET.Comment(_REPLIES))
    _add_address(addresses, STOMP_REPLIES, MULTICAST)
    ET.indent(core, "   ")
    return ET.tostring(core, encoding="unicode") + "\n"


def _add_setting(parent: ET.Element, resource: Resource) -> None:
    setting = ET.SubElement(parent, "address-setting", {"match": resource.name})
    for name, value in resource.properties.items():
        ET.SubElement(setting, name).text = str(value).lower() if isinstance(value, bool) else str(value)


def _add_address(parent: ET.Element, name: str, routing: str) -> ET.Element:
    return ET.SubElement(ET.SubElement(parent, "address", {"name": name}), routing.lower())


def _add_queue(branch: ET.Element, resource: Resource) -> None:
    if resource.properties["auto-delete"]:
        branch.append(ET.Comment(_STAYS))
    queue = ET.SubElement(branch, "queue", {"name": resource.name})
    ET.SubElement(queue, "durable").text = "true" if resource.properties["durable"] else "false"


def _dead_letter_addresses(topology: Topology) -> set[str]:
    return {r.properties["dead-letter-address"] for r in topology.resources if r.kind == SETTING}
