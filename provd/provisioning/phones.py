"""What happens when a phone asks for a file: it is recognised, made a device if it is new, and answered."""

from __future__ import annotations

import logging
from collections import Counter

from provd.model.decision import Decision
from provd.model.device import Device
from provd.model.request import HttpRequest, PhoneRequest
from provd.plugins.files import OpenFile, Problem
from provd.provisioning.configure import Configurer
from provd.provisioning.decisions import Decisions
from provd.provisioning.fileservice import FileService
from provd.provisioning.locks import KeyedLocks, of_device
from provd.provisioning.recheck import Recheck
from provd.provisioning.recognition import Caller, Recogniser, Unrecognised
from provd.provisioning.settling import Settler
from provd.store.schema import DEVICES, is_unfinished
from provd.store.store import Store

log = logging.getLogger(__name__)


class PhoneDesk:
    """Answers phones' requests. A known phone of which nothing changed costs no write, no lock and no wait.

    A request carries its decision trace, and the door says there how it ended, unless an error comes out of here.
    """

    def __init__(
        self,
        store: Store,
        recogniser: Recogniser,
        settler: Settler,
        configurer: Configurer,
        files: FileService,
        recheck: Recheck,
        locks: KeyedLocks,
        decisions: Decisions,
    ) -> None:
        self._devices = store.collection(DEVICES)
        self._recogniser = recogniser
        self._settler = settler
        self._configurer = configurer
        self._files = files
        self._recheck = recheck
        self._locks = locks
        self._decisions = decisions
        self.counters: Counter[str] = settler.counters

    def knows(self, address: str) -> bool:
        """Tell whether a known phone has an address."""
        return self._devices.count("ip", address) > 0

    def turned_away(self, request: PhoneRequest, reason: str) -> None:
        """The door itself refuses a request: its trace says so."""
        self._decision_of(request).end(f"refused by the door: {reason}")

    def quick(self, request: PhoneRequest) -> OpenFile | Problem | None:
        """The answer, if nothing has to be stored or rendered for it; otherwise None, and `handle` is needed."""
        request.decision = decision = self._decision_of(request)
        try:
            return self._quick(request, decision)
        except BaseException as error:
            decision.fail(error)
            raise

    def handle(self, request: PhoneRequest) -> OpenFile | Problem:
        """The answer to any request; may wait for the store and for other requests of the same phone."""
        decision = request.decision or self._decision_of(request)
        request.decision = decision
        try:
            return self._handle(request, decision)
        except BaseException as error:
            decision.fail(error)
            raise

    def _quick(self, request: PhoneRequest, decision: Decision) -> OpenFile | Problem | None:
        caller = self._recogniser.caller(request, decision)
        device_id = self._recogniser.find(caller)
        if device_id is None:
            obstacle = self._recogniser.why_not_admitted(caller)
            return None if obstacle is None else self._turn_away(request, obstacle)
        device = self._devices.get(device_id)
        if device is None or not self._settler.is_settled(device, caller):
            return None
        reply = self._files.serve(request, device)
        return None if reply is Problem.MISSING else self._noted(decision, _explained(reply, device), device)

    def _handle(self, request: PhoneRequest, decision: Decision) -> OpenFile | Problem:
        caller = self._recogniser.caller(request, decision)
        try:
            device = self._settler.settle(caller)
        except Unrecognised as obstacle:
            return self._turn_away(request, obstacle)
        reply = self._files.serve(request, device)
        if reply is Problem.MISSING:
            reply = self._made_again(request, caller, device)
        if reply is Problem.NOT_FOUND and self._recheck.is_waiting(device["id"]):
            reply = Problem.UNAVAILABLE  # its files could not be made now, but they will be
        return self._noted(decision, _explained(reply, device), device)

    def _decision_of(self, request: PhoneRequest) -> Decision:
        if isinstance(request, HttpRequest):
            return self._decisions.begin("http", request.address, request.path, request.user_agent)
        return self._decisions.begin("tftp", request.address, request.path)

    def _turn_away(self, request: PhoneRequest, obstacle: Unrecognised) -> Problem:
        """The answer to whoever has no device."""
        return obstacle.problem or self._files.serve_nobody(request)

    def _noted(self, decision: Decision, reply: OpenFile | Problem, device: Device) -> OpenFile | Problem:
        """The reply, after it stands in the trace."""
        decision.device_id = device["id"]
        decision.plugin = device.get("plugin")
        if isinstance(reply, OpenFile):
            decision.file = reply.path
        return reply

    def _made_again(self, request: PhoneRequest, caller: Caller, device: Device) -> OpenFile | Problem:
        """The file that the device should have, and that somebody has removed."""
        with self._locks.hold(of_device(device["id"])):
            if self._settler.retries.take(device["id"]):
                log.warning("a file is gone and is made again: device=%s path=%r", device["id"], request.path)
                caller.decision.rendered = True
                self._configurer.configure_held(device["id"])
        reply = self._files.serve(request, device)
        return Problem.NOT_FOUND if reply is Problem.MISSING else reply


def _explained(reply: OpenFile | Problem, device: Device) -> OpenFile | Problem:
    """The reply, with the better reason if the device has no files because they could not be made."""
    return Problem.NOT_CONFIGURED if reply is Problem.NOT_FOUND and is_unfinished(device) else reply
