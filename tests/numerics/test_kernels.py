"""The C kernels against the plain formula in double precision, in each width of vectors that this processor has."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from outcrop.network.fast.kernels import attention, check
from outcrop.network.fast.kernels.library import SOURCE, Library
from outcrop.network.fast.kernels.use import Pretended
from outcrop.network.fast.lm_head import LMHead
from outcrop.training.cross_entropy import nll
from tests.support.compiled import WIDTHS, compiled, needs_compiler

SETTINGS = {"window none": None, "window 1": 1, "window 20": 20, "window 64": 64}

pytestmark = needs_compiler


@pytest.fixture(scope="module", params=WIDTHS)
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(compiled(SOURCE, request.param, tmp_path_factory.mktemp("kernels")))


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def close(mine: Tensor, exact: Tensor, tolerance: float = 2e-6) -> bool:
    """Of inputs whose size is about 1; where exact sums are 0, rounded ones are not."""
    mine, exact = mine.detach(), exact.detach()
    return float((mine - exact).abs().max()) <= tolerance * max(1, float(exact.abs().max()))


def naive(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], scale: float, window: int | None) -> Tensor:
    """Every query with every key of the whole row, those it must not see at minus infinity."""
    tokens, record = (
        torch.arange(q.shape[1]),
        torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)),
    )
    apart = tokens.unsqueeze(1) - tokens
    seen = (apart >= 0) & (record.unsqueeze(1) == record)
    if window is not None:
        seen &= apart < window
    shared = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(shared, 0), v.repeat_interleave(shared, 0)
    scores = (q @ k.transpose(1, 2) * scale).masked_fill(~seen, -math.inf)
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("window", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    ("heads", "key_heads", "width", "lengths"),
    [(2, 2, 16, [1]), (4, 2, 64, [33, 1, 100, 64]), (3, 1, 48, [32, 31, 5]), (4, 1, 128, [150, 2])],
)
def test_attention(
    kernels: Library, heads: int, key_heads: int, width: int, lengths: list[int], window: int | None
) -> None:
    num = sum(lengths)
    # In the memory of networks, where the heads of a token lie together, and in another; both with gaps.
    q, d_o = (torch.randn(num, heads + 1, width)[:, :heads].transpose(0, 1) for _ in range(2))
    k, v = (torch.randn(key_heads, num, width + 3)[..., :width] for _ in range(2))
    inputs = [x.detach().requires_grad_() for x in (q * 3, k, v)]
    exact = [x.detach().double().requires_grad_() for x in inputs]
    scale = 0.7 / math.sqrt(width)
    mine = attention.attend(kernels, inputs[0], inputs[1], inputs[2], lengths, scale, window)
    wanted = naive(exact[0], exact[1], exact[2], lengths, scale, window)
    assert close(mine, wanted)
    gradients = torch.autograd.grad(mine, inputs, d_o)
    for found, want in zip(gradients, torch.autograd.grad(wanted, exact, d_o.double()), strict=True):
        assert close(found, want, 1e-5)


def test_attention_of_scores_far_apart(kernels: Library) -> None:
    q, k, v = (torch.randn(1, 40, 16) for _ in range(3))
    mine = attention.attend(kernels, q * 300, k, v, [40], 1.0, None)
    exact = naive((q * 300).double(), k.double(), v.double(), [40], 1.0, None)
    assert close(mine, exact, 1e-4), "weights of e to the -87 and less are zero"


def test_what_is_not_a_number_shows(kernels: Library) -> None:
    q, k, v = (torch.randn(1, 40, 16) for _ in range(3))
    k[0, 20, 3] = math.nan
    o = attention.attend(kernels, q, k, v, [40], 1.0, None)
    assert not o[0, :20].isnan().any()
    assert o[0, 20:].isnan().all()
    logits, target, nlls = torch.randn(2, 50), torch.tensor([4, 4]), torch.empty(2)
    logits[0, 7], logits[1, 9] = math.nan, math.inf
    kernels.cross_entropy(2, 50, logits.data_ptr(), target.data_ptr(), nlls.data_ptr(), 1)
    assert not nlls.isfinite().any()
    logits = torch.randn(1, 50)
    logits.view(torch.int32)[0, 3] = 0x7FFFFFFF  # one whose digits are all set
    kernels.cross_entropy(1, 50, logits.data_ptr(), target.data_ptr(), nlls.data_ptr(), 1)
    assert nlls[0].isnan()


@pytest.mark.parametrize("width", [1, 15, 16, 64, 83])
@pytest.mark.parametrize("added", [0.0, 1.0])
def test_norm(kernels: Library, width: int, added: float) -> None:
    x, weight, d_y = torch.randn(7, width) * 3, torch.randn(width), torch.randn(7, width)
    y, scale, d_x, d_weight = torch.empty(7, width), torch.empty(7), torch.empty(7, width), torch.zeros(width)
    kernels.norm(7, width, x.data_ptr(), weight.data_ptr(), added, 1e-5, y.data_ptr(), scale.data_ptr())
    given = x.data_ptr(), weight.data_ptr(), added, scale.data_ptr(), d_y.data_ptr()
    kernels.norm_back(7, width, *given, d_x.data_ptr(), d_weight.data_ptr())
    exact = x.double().requires_grad_(), weight.double().requires_grad_()
    wanted = functional.rms_norm(exact[0], (width,), eps=1e-5) * (exact[1] + added)
    assert close(y, wanted)
    wants = torch.autograd.grad(wanted, exact, d_y.double())
    assert close(d_x, wants[0], 4e-6)
    assert close(d_weight, wants[1], 4e-6)
    alone = torch.empty(7, width)
    kernels.norm_back(7, width, *given, alone.data_ptr(), None)
    assert torch.equal(alone, d_x)


@pytest.mark.parametrize("size", [1, 16, 100, 5000])
@pytest.mark.parametrize("kind", [0, 1])
def test_gate(kernels: Library, kind: int, size: int) -> None:
    gate, up, d_product = torch.randn(size) * 8, torch.randn(size), torch.randn(size)
    gate[0] = -95.0  # whose exponential is larger than any number of fp32
    product, again, d_gate, d_up = (torch.empty(size) for _ in range(4))
    kernels.gate(kind, size, gate.data_ptr(), up.data_ptr(), product.data_ptr())
    given = gate.data_ptr(), up.data_ptr(), d_product.data_ptr()
    kernels.gate_back(kind, size, *given, again.data_ptr(), d_gate.data_ptr(), d_up.data_ptr())
    exact = gate.double().requires_grad_(), up.double().requires_grad_()
    act = functional.silu(exact[0]) if kind == 0 else functional.gelu(exact[0], approximate="tanh")
    wants = torch.autograd.grad(act * exact[1], exact, d_product.double())
    assert close(product, act * exact[1])
    assert torch.equal(again, product)
    assert close(d_gate, wants[0])
    assert close(d_up, wants[1])


@pytest.mark.parametrize("width", [2, 16, 64, 80])
def test_rotate(kernels: Library, width: int) -> None:
    heads, tokens, half = 3, 5, width // 2
    x = torch.randn(tokens, heads, width + 1)[..., :width].transpose(0, 1)
    cos, sin = torch.randn(tokens, width), torch.randn(tokens, width)
    y = torch.empty(heads, tokens, width)
    to_first, to_second = sin.data_ptr(), sin.data_ptr() + 4 * half
    angles = cos.data_ptr(), to_first, -1.0, to_second, 1.0, width
    kernels.rotate(
        heads, tokens, width, x.data_ptr(), x.stride(0), x.stride(1), *angles, y.data_ptr(), tokens * width, width
    )
    x1, x2 = x.double().chunk(2, -1)
    assert close(y, x * cos.double() + torch.cat([-x2, x1], -1) * sin)


@pytest.mark.parametrize("width", [2, 50, 4096, 9001])
def test_cross_entropy(kernels: Library, width: int) -> None:
    rows = 6
    logits, target = torch.randn(rows, width) * 10, torch.randint(width, (rows,))
    logits[0] += 1000
    logits[1, 1] = -math.inf
    target[1] = 0
    logits[2, 1] = 200.0  # nothing but one token is likely, and the target is not
    target[2] = 0
    exact = logits.double().requires_grad_()
    wanted = functional.cross_entropy(exact, target, reduction="none")
    (want,) = torch.autograd.grad(wanted.sum(), exact)
    nlls, only, slope = torch.empty(rows), torch.empty(rows), logits.clone()
    kernels.cross_entropy(rows, width, logits.data_ptr(), target.data_ptr(), only.data_ptr(), 0)
    kernels.cross_entropy(rows, width, slope.data_ptr(), target.data_ptr(), nlls.data_ptr(), 1)
    assert torch.equal(nlls, only)
    assert torch.allclose(nlls.double(), wanted, rtol=1e-6, atol=1e-6)
    assert torch.allclose(slope.double(), want, rtol=2e-6, atol=1e-7)


def test_they_are_tried_out_before_they_are_trusted(kernels: Library) -> None:
    assert check.answers_alike(kernels)
    with torch.inference_mode():
        assert check.answers_alike(kernels)
    assert not check.answers_alike(Pretended(lambda *_: None)), "which computes nothing"


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize(("heads", "key_heads", "values"), [(3, 2, 2), (1, 2, 2), (2, 2, 1)])
def test_heads_that_cannot_be_shared_are_left_to_torch(heads: int, key_heads: int, values: int) -> None:
    q, k, v = (torch.randn(num, 5, 16) for num in (heads, key_heads, values))
    assert attention.kernels_for(q, k, v, 1.0, None) is None
    assert attention.kernels_for(q, q, q, 0.0, None) is None
    assert attention.kernels_for(q, q, q[:, :4], 1.0, None) is None


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("target", [-100, 50, 5000])
def test_a_target_that_the_head_does_not_know_is_an_error(target: int) -> None:
    head = LMHead(weight_VH=torch.randn(50, 8))
    with pytest.raises((IndexError, RuntimeError), match=r"out of|no token id"):
        nll(torch.randn(3, 8), head, torch.tensor([1, target, 2]))


def test_a_gradient_may_be_one_number_for_all(kernels: Library) -> None:
    q, k, v = (torch.randn(2, 9, 16).requires_grad_() for _ in range(3))
    torch.autograd.backward(attention.attend(kernels, q, k, v, [4, 5], 1.0, None).sum())
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    torch.autograd.backward(naive(exact[0], exact[1], exact[2], [4, 5], 1.0, None).sum())
    for found, wanted in zip((q, k, v), exact, strict=True):
        assert found.grad is not None
        assert wanted.grad is not None
        assert close(found.grad, wanted.grad, 1e-5)
