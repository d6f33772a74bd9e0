"""The table of Outcrop's own operations, and the entrance by which they are asked for."""

from anyio import to_thread

from outcrop.api.door import own_signature
from outcrop.api.door.visit import Visit
from outcrop.api.own import catalogue, job_history, memory, models, parity, passages, preflight, recipes
from outcrop.api.own.operation import OwnCall, OwnOperation, response_of
from outcrop.api.own.tasks import OwnTasks
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.protocol import routing
from outcrop.protocol.http import HttpRequest, HttpResponse

PLACE = "/outcrop/"
OWN_OPERATIONS = (
    OwnOperation(name="GetParity", method="GET", path="/outcrop/parity", answer=parity.get_parity),
    OwnOperation(name="Preflight", method="GET", path="/outcrop/preflight", answer=preflight.get_preflight),
    OwnOperation(name="GetLosses", method="GET", path="/outcrop/losses", answer=job_history.get_losses),
    OwnOperation(name="GetJobEvents", method="GET", path="/outcrop/events", answer=job_history.get_events),
    OwnOperation(
        name="ListCheckpoints", method="GET", path="/outcrop/checkpoints", answer=job_history.list_checkpoints
    ),
    OwnOperation(name="GetJobLog", method="GET", path="/outcrop/log", answer=job_history.get_log),
    OwnOperation(name="ListCatalogue", method="GET", path="/outcrop/catalogue", answer=catalogue.list_catalogue),
    OwnOperation(name="GetMemory", method="GET", path="/outcrop/memory", answer=memory.get_memory),
    OwnOperation(name="GetPassages", method="GET", path="/outcrop/passages", answer=passages.get_passages),
    OwnOperation(name="RunRecipe", method="POST", path="/outcrop/recipes", answer=recipes.run_recipe),
    OwnOperation(name="PullModel", method="POST", path="/outcrop/pull", answer=models.pull_model),
    OwnOperation(name="RegisterModel", method="POST", path="/outcrop/register", answer=models.register_model),
    OwnOperation(name="ExportModel", method="POST", path="/outcrop/export", answer=models.export_model),
    OwnOperation(name="ForgetRecords", method="POST", path="/outcrop/forget", answer=models.forget_records),
    OwnOperation(name="ListTasks", method="GET", path="/outcrop/tasks", answer=models.list_tasks),
    OwnOperation(name="StopTask", method="POST", path="/outcrop/tasks/stop", answer=models.stop_task),
)


class OwnOperations:
    """The entrance of own operations: requests under `/outcrop/` that are signed for the service `outcrop`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._tasks = OwnTasks(house.settings, house.clock)
        self._by_path = {(each.method, each.path): each for each in OWN_OPERATIONS}

    def is_asked(self, request: HttpRequest) -> bool:
        """Whether it comes in here; signed for S3, the path is that of an object."""
        return request.raw_path.startswith(PLACE) and routing.scope_service(request) == own_signature.SERVICE

    async def answer(self, visit: Visit) -> HttpResponse:
        """Raises a refusal for who may not, NotFound for what is no operation."""
        visit.service, visit.protocol = "bedrock", "rest-json"  # in whose words it is refused
        request = visit.request
        method = "GET" if request.method == "HEAD" else request.method
        operation = self._by_path.get((method, request.raw_path))
        if operation is None:
            known = ", ".join(f"{each.method} {each.path}" for each in OWN_OPERATIONS)
            raise NotFound(f"{request.method} {request.raw_path}: there is no such operation. There are {known}.")
        visit.page, visit.changes = operation.name, operation.method != "GET"
        call = OwnCall(self._house, self._tasks, visit)
        try:
            return response_of(await to_thread.run_sync(operation.answer, call))
        finally:
            if call.proven is not None:
                visit.caller, visit.region = call.proven.caller, call.proven.region
