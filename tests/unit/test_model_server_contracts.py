"""What the model server promises to the code of a model, held against the toolkit itself where it can be installed."""

import ast
import importlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from outcrop.sagemaker.inside.model_server import huggingface, toolkits
from outcrop.sagemaker.inside.model_server.context import InvocationContext, RequestHeaders
from outcrop.sagemaker.inside.model_server.contract import ModelContract, ServedAnswer
from outcrop.sagemaker.inside.model_server.model_server import FOLDER
from outcrop.sagemaker.inside.model_server.settings import ServerSettings
from outcrop.sagemaker.inside.model_server.worker import CONTRACTS
from tests.support.model_servers import read_json, serving
from tests.support.tiny import tiny_model
from tests.support.tiny_encoders import tiny_reranker

Load = Callable[..., ModelContract]
ECHO = "def model_fn(model_dir): return 2\n"
DOUBLE = ECHO + "def predict_fn(data, model):\n    import numpy\n    return numpy.asarray(data, dtype=float) * model\n"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads code as a worker does; what it imports is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("HF_TASK", "HF_MODEL_ID", "SAGEMAKER_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)

    def loaded(toolkit: str, text: str | None = None, **variables: str) -> ModelContract:
        if text is not None:
            (code / "inference.py").write_text(text)
        importlib.invalidate_caches()
        given = {"SAGEMAKER_BASE_DIR": str(tmp_path), "OUTCROP_SERVING": toolkit, **variables}
        settings = ServerSettings.from_environment(given)
        contract = CONTRACTS[toolkit](settings, InvocationContext(str(settings.model_dir), None))
        contract.load()
        return contract

    yield loaded
    sys.modules.pop("inference", None)


def ask(
    contract: ModelContract, body: bytes, content_type: str | None = "application/json", accept: str = "*/*"
) -> ServedAnswer:
    headers = [["Accept", accept], *([] if content_type is None else [["Content-Type", content_type]])]
    contract.context.begin("request", RequestHeaders(headers))
    return contract.invoke(body)


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    numpy.save(buffer, numpy.array(values))
    return buffer.getvalue()


SAME = [
    (DOUBLE, b"[[1, 2.5], [3, 4]]", "application/json", "*/*"),
    (DOUBLE, b"[[1, 2.5], [3, 4]]", "application/json", "text/csv"),
    (DOUBLE, b"[[1, 2.5], [3, 4]]", "application/json", "application/x-npy"),
    (DOUBLE, b"1.5,2.5\n3.0,4.0\n", "text/csv", "application/json"),
    (DOUBLE, npy([1.5, 2.0]), "application/x-npy", ""),
    (DOUBLE, b"[1, 2", "application/json", "*/*"),
    (DOUBLE, b"", "application/json", "*/*"),
    (DOUBLE, b"\xff", "application/json", "*/*"),
    (DOUBLE, b"[1]", "application/xml", "*/*"),
    (DOUBLE, b"[1]", "application/json", "image/png"),
    (ECHO + "def transform_fn(m, d, c, a): return str([m, d, c, a])", b"\xff", "image/png", "text/plain"),
    (ECHO + "def transform_fn(m, d, c, a, context): return d, 'x/y'", b"d", "text/csv", "*/*"),
    (ECHO + "def transform_fn(m, d, c): return d", b"d", "text/csv", "*/*"),
    (ECHO + "def transform_fn(m, d, c, a): raise KeyError('inputs')", b"d", "text/csv", "*/*"),
    (
        ECHO + "def transform_fn(m, d, c, a):\n    from sagemaker_inference.errors import BaseInferenceToolkitError\n"
        "    raise BaseInferenceToolkitError(415, 'not that', 'phrase')",
        b"d",
        "text/csv",
        "*/*",
    ),
    (
        ECHO + "def input_fn(d, c, context): return d\ndef predict_fn(d, m): return d\ndef output_fn(p, a): return p",
        b"d",
        "",
        "",
    ),
]


@pytest.mark.parametrize(("code", "body", "content_type", "accept"), SAME, ids=range(len(SAME)))
def test_requests_are_answered_as_by_the_inference_toolkit(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, body: bytes, content_type: str, accept: str
) -> None:
    ours = ask(load("pytorch", code), body, content_type, accept)
    sys.modules.pop("inference")
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "inference.py")
    toolkit = importlib.import_module("sagemaker_inference.transformer")
    context = InvocationContext(str(tmp_path / "model"), None)
    context.begin("request", RequestHeaders([["Accept", accept], ["Content-Type", content_type]]))
    [said] = toolkit.Transformer().transform([{"body": body}], context)
    said = said.encode() if isinstance(said, str) else said
    status, _ = context.get_response_status(0)
    assert ours.status == status
    if status == 200:
        assert (ours.body, ours.content_type) == (said, context.get_response_content_type(0))
    else:
        assert ours.body.splitlines()[0] == said.splitlines()[0]
        assert b"Traceback (most recent call last):" in ours.body


def test_a_torchscript_file_is_served_without_code(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Exactly one .pth or .pt file is required for PyTorch models: \[\]"):
        load("pytorch")
    layer = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(layer.weight, 1.5)
    torch.nn.init.zeros_(layer.bias)
    with pytest.warns(DeprecationWarning, match="jit"):
        torch.jit.save(torch.jit.script(layer), str(tmp_path / "model" / "mine.pth"))
    with pytest.warns(DeprecationWarning, match="jit"):
        contract = load("pytorch")
    assert ask(contract, b"[[1, 2]]").body == b"[[4.5]]"
    assert ask(contract, b"1,2\n3,4\n", "text/csv", "text/csv").body == b"4.5\n10.5\n"
    assert ask(contract, npy([[2.0, 2.0]]), "application/x-npy").status == 500  # doubles
    answer = ask(contract, npy(numpy.ones((1, 2), "float32")), "application/x-npy", "application/x-npy")
    assert numpy.load(io.BytesIO(answer.body)).tolist() == [[3.0]]
    (tmp_path / "model" / "model.pt").write_bytes(b"no torchscript")
    with pytest.warns(DeprecationWarning, match="jit"), pytest.raises(RuntimeError, match="saved using torchscript"):
        load("pytorch")


def test_functions_around_the_loading_are_called(load: Load) -> None:
    code = "SEEN = []\ndef pre_model_fn(d): SEEN.append('before')\ndef model_fn(d, context): return SEEN\n"
    code += "def model_warmup_fn(d, model): model.append('after')\n"
    assert load("pytorch", code).model == ["before", "after"]


SCIKIT_LEARN = """
class Sum:
    def predict(self, data):
        assert data.dtype.name == "float32"
        return data.sum(axis=-1)

def model_fn(model_dir):
    return Sum()
"""


def test_scikit_learn_predicts_rows(load: Load) -> None:
    with pytest.raises(FileNotFoundError, match=r"inference.py is not there. Name the file with model_fn"):
        load("scikit-learn")
    contract = load("scikit-learn", SCIKIT_LEARN)
    answer = ask(contract, b"[[1, 2], [3, 4]]", None)
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", b"[3.0, 7.0]")
    assert ask(contract, b'1,2\n"3",4\n', "text/csv", "text/csv").body == b"3.0\n7.0\n"
    assert numpy.load(io.BytesIO(ask(contract, b"1,2\n3,4\n", "text/csv", "application/x-npy").body)).tolist() == [3, 7]
    refused = ask(contract, b"<a/>", "text/xml")
    assert (refused.status, json.loads(refused.body)["error"]) == (500, "UnsupportedFormatError")


def test_older_code_answers_through_the_framework_of_the_containers(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, toolkits.OfferedModules()])
    code = SCIKIT_LEARN + (
        "from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker\n"
        "def output_fn(prediction, accept):\n"
        "    if accept == content_types.JSON:\n"
        "        return worker.Response('{}', mimetype=accept, status=202, headers={'X-A': 'b'})\n"
        "    return encoders.encode(prediction, 'text/csv')\n"
    )
    contract = load("scikit-learn", code)
    answer = ask(contract, b"[[1, 2]]")
    assert (answer.status, answer.content_type, answer.body, answer.headers["X-A"]) == (
        202,
        "application/json",
        b"{}",
        "b",
    )
    answer = ask(contract, b"[[1, 2]]", accept="text/csv")
    assert (answer.content_type, answer.body) == ("text/html; charset=utf-8", b"3.0\n")


def test_code_finds_the_names_of_the_toolkits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, toolkits.OfferedModules()])
    theirs = importlib.import_module("sagemaker_inference.content_types")
    for name, value in toolkits.OFFERED["sagemaker_inference.content_types"].items():
        assert getattr(theirs, name) == value
    coder = importlib.import_module("sagemaker_huggingface_inference_toolkit.decoder_encoder")
    assert coder.decode(coder.encode({"inputs": "é"}), "application/json") == {"inputs": "é"}
    with pytest.raises(ImportError):
        importlib.import_module("sagemaker_huggingface_inference_toolkit.no_such")


def test_a_pipeline_gets_inputs_and_parameters(load: Load) -> None:
    code = "def model_fn(d): return lambda inputs, **more: [{'inputs': inputs, 'more': more}]"
    contract = load("huggingface", code)
    assert ask(contract, b'{"inputs": "a", "parameters": {"top_k": 2}}').body == b'[{"inputs":"a","more":{"top_k":2}}]'
    assert ask(contract, '{"question": "何"}'.encode()).body.decode() == '[{"inputs":{"question":"何"},"more":{}}]'
    assert ask(contract, b"inputs\r\na\r\nb\r\n", "text/csv").body == b'[{"inputs":["a","b"],"more":{}}]'
    answer = ask(contract, b"question,context\na,b\n", "text/csv", "application/json")
    assert answer.body == b'[{"inputs":[{"question":"a","context":"b"}],"more":{}}]'
    assert ask(contract, b"fLaC", "audio/x-flac").status == 400  # bytes are no JSON
    assert ask(contract, b'{"inputs": 1}', accept="text/csv").body == b"inputs,more\r\n1,{}\r\n"


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "message"),
    [
        (
            b"{",
            "application/json",
            "*/*",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (b"", "application/json", "*/*", "Expecting value: line 1 column 1 (char 0)"),
        (
            b"{}",
            "application/json; charset=utf-8",
            "*/*",
            "Content type application/json; charset=utf-8 is not supported",
        ),
        (b"{}", None, "*/*", "Content type None is not supported by this framework."),
        (b"{}", "application/json", "text/plain", "Content type text/plain is not supported by this framework."),
        (
            b"1,2\n",
            "text/csv",
            "*/*",
            "You need to provide the correct CSV with Header columns to use it with the infere",
        ),
    ],
    ids=range(6),
)
def test_hugging_face_refuses_with_400_and_json(
    load: Load, body: bytes, content_type: str | None, accept: str, message: str
) -> None:
    contract = load("huggingface", "def model_fn(d): return lambda inputs: inputs")
    answer = ask(contract, body, content_type, accept)
    said = json.loads(answer.body)
    assert (answer.status, said["code"], said["type"]) == (400, 400, "InternalServerException")
    assert said["message"].startswith(message)


def test_images_and_arrays_are_read_and_written() -> None:
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    png = huggingface.encode(image, "image/png")
    assert huggingface.decode(png, "image/x-image")["inputs"].getpixel((1, 0)) == (255, 0, 0)
    values = {"a": numpy.float32(0.5), "b": numpy.arange(2), "c": torch.ones(1)}
    assert huggingface.encode(values) == '{"a":0.5,"b":[0,1],"c":[1.0]}'
    assert json.loads(huggingface.encode([image]))[0].startswith("iVBORw0KGgo")
    with pytest.raises(ValueError, match="not JSON compliant"):
        huggingface.encode([float("nan")])


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("LlamaForCausalLM", "text-generation"),
        ("GPT2LMHeadModel", "text-generation"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("BertForSequenceClassification", "text-classification"),
        ("TapasForQuestionAnswering", "table-question-answering"),
        ("BertForMaskedLM", "fill-mask"),
    ],
)
def test_the_architecture_tells_the_task(tmp_path: Path, architecture: str, task: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    assert huggingface.task_of(tmp_path, None) == task
    assert huggingface.task_of(tmp_path, "summarization") == "summarization"


def test_an_architecture_that_tells_no_task_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["BertModel"]}')
    with pytest.raises(ValueError, match=r"Task couldn't be inferenced from BertModel. Set HF_TASK"):
        huggingface.task_of(tmp_path, None)


def test_a_classifier_is_served_without_code(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TASK", "")  # set by the contract, and so undone
    tiny_reranker(tmp_path / "model", labels=3)
    answer = ask(load("huggingface"), b'{"inputs": ["river", "stone"], "parameters": {"top_k": 2}}')
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    assert [sorted(each) for row in found for each in row] == [["label", "score"]] * 4


def test_a_generator_is_served_without_code_by_a_process(tmp_path: Path) -> None:
    tiny_model(tmp_path / "elsewhere")
    variables = {"HF_MODEL_ID": str(tmp_path / "elsewhere"), "HF_TASK": "text-generation", "SAGEMAKER_PROGRAM": ""}
    with serving(tmp_path, toolkit="huggingface", **variables) as server:  # type: ignore[arg-type]
        said = server.ready().invoke('{"inputs": "The river", "parameters": {"max_new_tokens": 4}}')
        assert said.status == 200, said.body
        [answer] = read_json(said)
        assert answer["generated_text"].startswith("The river")


def test_a_library_that_is_missing_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(ImportError, match=r"Reading an image needs Pillow, which this environment lacks"):
        huggingface.decode(b"", "image/png")


def test_headers_are_found_in_any_case() -> None:
    context = InvocationContext("/opt/ml/model", 1)
    with pytest.raises(RuntimeError, match="no request while the model is loaded"):
        context.get_request_header(0, "Accept")
    context.begin("a", RequestHeaders([["x-amzn-sagemaker-custom-attributes", "b"]]))
    assert context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes") == "b"
    assert dict(context.get_all_request_header(0)) == {"x-amzn-sagemaker-custom-attributes": "b"}
    assert (context.get_request_id(), context.system_properties["gpu_id"]) == ("a", 1)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_the_server_is_standard_library_and_as_old_as_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        names: Mapping[str, Any] = {}
        if isinstance(node, ast.Import):
            names = {name.name.split(".")[0]: node for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = {str(node.module).split(".")[0]: node}
        assert set(names) <= sys.stdlib_module_names, names
