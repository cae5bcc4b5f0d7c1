"""What PyTorch computes where shapes change: writes cases.json and cases.safetensors beside this file.

Run with torch 2.13.0: python test/reference/shapes/generate.py. As test/reference/functions/generate.py; in addition `noise` is the
largest difference between float32 and float64, for outputs and gradients.
"""
import json, pathlib, re, torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(1)
torch.set_num_threads(1)
r = torch.randn
volume = r(2, 3, 5, 6, 4)

def wave(*shape):
    return (torch.arange(torch.Size(shape).numel()) + 1.).pow(1.5).sin().reshape(shape)

def placed():
    """Writing at indices, diagonals, grids, running extrema, places in sorted lines."""
    x, y, v, t = wave(3, 5), -0.9 * wave(4, 5).flip(0), wave(5), wave(2, 3, 4, 5)
    i = torch.tensor([[0, 2, 1, 2, 0], [2, 0, 1, 2, 2], [0, 0, 1, 1, 2], [1, 2, 1, 0, 0]])
    once = torch.tensor([[0, 2, 1, 2, 0], [2, 0, 0, 1, 1]])
    nan, inf = float("nan"), float("inf")
    yield "scatter_once", "scatter(x, 0, k, y)", "x.scatter(0, k, y)", dict(x=x, k=once, y=y[:2]), "xy"
    yield "scatter_last", "scatter(x, -1, k, y)", "x.scatter(-1, k, y)", dict(x=x, k=torch.tensor([[4, 1, 4], [0, 0, 0]]), y=y[:2, :3]), ""
    yield "scatter_ints", "scatter(x, 1, k, y)", "x.scatter(1, k, y)", dict(x=torch.arange(15).reshape(3, 5), k=i[:3], y=i[:3] + 100), ""
    yield "index_copy_rows", "index_copy(x, 0, k, y)", "x.index_copy(0, k, y)", dict(x=x, k=torch.tensor([2, 0]), y=y[:2]), "xy"
    yield "index_copy_middle", "index_copy(x, 1, k, y)", "x.index_copy(1, k, y)", dict(x=t, k=torch.tensor([1, 1]), y=wave(2, 2, 4, 5) + 3), ""
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        for own in (True, False):
            yield (f"scatter_{reduce}_{str(own).lower()}", f'scatter_reduce(x, 0, k, y, "{reduce}", include_self: {str(own).lower()})',
                   f'x.scatter_reduce(0, k, y, "{reduce}", include_self={own})', dict(x=x, k=i, y=y), "xy")
    yield "scatter_amax_ends", 'scatter_reduce(x, 0, k, y, "amax")', 'x.scatter_reduce(0, k, y, "amax")', dict(
        x=torch.tensor([1., nan, 3., -inf]), k=torch.tensor([0, 0, 2, 3, 2]), y=torch.tensor([inf, 2., nan, -inf, 9.])), ""
    for offset in (0, 1, -2, 4, -3):
        yield f"diagonal_{offset}".replace("-", "m"), f"diagonal(x, {offset}, -2, -1)", f"x.diagonal({offset}, -2, -1)", dict(x=t), "x"
    yield "diagonal_outer", "diagonal(x, 1, 3, 0)", "x.diagonal(1, 3, 0)", dict(x=t), "x"
    for offset in (0, 2, -1):
        name = str(offset).replace("-", "m")
        yield f"diag_vector_{name}", f"diag(x, {offset})", f"x.diag({offset})", dict(x=v), "x"
        yield f"diag_matrix_{name}", f"diag(x, {offset})", f"x.diag({offset})", dict(x=x), "x"
    yield "diag_ints", "diag(x)", "x.diag()", dict(x=torch.arange(4)), ""
    yield "outer_vectors", "outer(x, y)", "torch.outer(x, y)", dict(x=v, y=x[0, :3]), "xy"
    yield "cross_last", "cross(x, y)", "torch.linalg.cross(x, y)", dict(x=wave(4, 3), y=wave(3, 4).T.contiguous()), "xy"
    yield "cross_first", "cross(x, y, 0)", "torch.linalg.cross(x, y, dim=0)", dict(x=wave(3, 4), y=wave(4, 3).T.contiguous()), "xy"
    yield "meshgrid_ij", "meshgrid([x, y, z])", "torch.meshgrid(x, y, z, indexing='ij')", dict(x=v, y=x[0, :2], z=x[1, :3]), "xyz"
    yield "unbind_middle", "unbind(x, -2)", "x.unbind(-2)", dict(x=wave(2, 3, 4)), "x"
    for sign in ("max", "min"):
        yield f"cum{sign}_lines", f"cum{sign}(x, 1)", f"torch.cum{sign}(x, 1)", dict(x=t), "x"
        yield f"cum{sign}_ties", f"cum{sign}(x, 0)", f"torch.cum{sign}(x, 0)", dict(x=torch.tensor([1., 2., 2., 0., 0., -inf, inf, nan, 3., nan])), ""
    yield "logcumsumexp_far", "logcumsumexp(x, 1)", "torch.logcumsumexp(x, 1)", dict(x=torch.linspace(-400, 400, 24).reshape(2, 12)), "x"
    yield "logcumsumexp_down", "logcumsumexp(x, 0)", "torch.logcumsumexp(x, 0)", dict(x=torch.linspace(300, -300, 12)), "x"
    yield "logcumsumexp_ends", "logcumsumexp(x, 0)", "torch.logcumsumexp(x, 0)", dict(x=torch.tensor([-inf, -inf, -500., -90., 3., 900., -inf, inf, 1.])), ""
    for right in (False, True):
        more = f"right: {str(right).lower()}"
        yield (f"searchsorted_{right}".lower(), f"searchsorted(x, y, {more})", f"torch.searchsorted(x, y, right={right})",
               dict(x=torch.tensor([-1., 0., 0., 2., 5.]), y=torch.tensor([[-2., 0., 1.], [5., 6., nan]])), "")
        yield (f"searchsorted_lines_{right}".lower(), f"searchsorted(x, y, {more})", f"torch.searchsorted(x, y, right={right})",
               dict(x=x.sort().values, y=wave(3, 4)), "")
        yield (f"bucketize_{right}".lower(), f"bucketize(y, x, {more})", f"torch.bucketize(y, x, right={right})",
               dict(x=torch.tensor([1, 3, 3, 7]), y=torch.tensor([[0, 3, 8], [1, 4, 7]])), "")

def edges():
    """Singular places of special functions, pads of any rank that also cut, negative dims."""
    nan, inf = float("nan"), float("inf")
    ends = torch.tensor([-inf, inf, nan, 0., -0., -1., -2., -30., -1e-40, -1e-5, 1e-40, 1e-5, -1e10, 1e10, 3e38, -0.5, -1.5, 40.])
    yield "lgamma_ends", "lgamma(x)", "torch.lgamma(x)", dict(x=ends), ""
    yield "digamma_ends", "digamma(x)", "torch.digamma(x)", dict(x=ends), ""
    for name, x, pads in (
        ("vector", wave(6), ["[2, -3]"]), ("matrix", wave(4, 5), ["[-1, 2]", "[1, -2, -1, 3]"]),
        ("images", wave(1, 2, 4, 5), ["[1, 2]", "[-1, 1, 2, -2]", "[0, 1, -1, 0, 1, -1]"]), ("volume", wave(1, 2, 3, 4, 5), ["[-1, 1, 2, 0, 1, -1]"])):
        for i, given in enumerate(pads):
            yield f"pad_{name}_{i}", f"pad(x, {given}, value: 7.0)", f"F.pad(x, {given}, value=7.)", dict(x=x), "x"
    for mode in ("reflect", "replicate", "circular"):
        for name, x, given in (("sequence", wave(2, 3, 6), "[2, -1]"), ("row", wave(3, 6), "[1, 3]"), ("image", wave(2, 3, 5, 6), "[-1, 2, 3, 0]"),
                               ("volume", wave(1, 2, 3, 4, 5), "[1, 2, -1, 3, 0, 1]")):
            if mode == "circular" and "-" in given: continue
            yield f"{mode}_{name}", f'pad(x, {given}, "{mode}")', f'F.pad(x, {given}, mode="{mode}")', dict(x=x), "x"
    a, b = wave(2, 3, 4), -wave(2, 3, 4)
    yield "cat_back", "cat([x, y], -1)", "torch.cat([x, y], -1)", dict(x=a, y=b), "xy"
    yield "cat_middle", "cat([x, y, x], -2)", "torch.cat([x, y, x], -2)", dict(x=a, y=b), "xy"
    yield "stack_back", "stack([x, y], -1)", "torch.stack([x, y], -1)", dict(x=a, y=b), "xy"
    yield "stack_third", "stack([x, y], -3)", "torch.stack([x, y], -3)", dict(x=a, y=b), "xy"
    yield "split_back", "split(x, 3, -1)", "torch.split(x, 3, -1)", dict(x=wave(2, 8)), "x"
    yield "split_parts", "split(x, [1, 4, 3], -2)", "torch.split(x, [1, 4, 3], -2)", dict(x=wave(2, 8, 2)), "x"
    yield "chunk_back", "chunk(x, 3, -1)", "torch.chunk(x, 3, -1)", dict(x=wave(2, 8)), "x"
    yield "flip_back", "flip(x, [-1, 0])", "torch.flip(x, [-1, 0])", dict(x=a), "x"
    yield "roll_both", "roll(x, [1, -2], [-1, 0])", "torch.roll(x, [1, -2], [-1, 0])", dict(x=wave(3, 5)), "x"
    yield "tril_below", "tril(x, -1)", "torch.tril(x, -1)", dict(x=wave(2, 4, 3)), "x"
    yield "triu_above", "triu(x, 2)", "torch.triu(x, 2)", dict(x=wave(2, 4, 5)), "x"
    yield "var_none", "var(x, [0, -1], correction: 0)", "torch.var(x, [0, -1], correction=0)", dict(x=a), "x"
    yield "std_two", "std(x, -1, correction: 2, keepdim: true)", "torch.std(x, -1, correction=2, keepdim=True)", dict(x=a), "x"
    yield "where_rows", "where(x > 0.0, x, y)", "torch.where(x > 0., x, y)", dict(x=a, y=wave(4)), "xy"
    yield "masked_rows", "masked_fill(x, m, -1e9)", "x.masked_fill(m, -1e9)", dict(x=a, m=wave(3, 1) > 0), "x"
    yield "take_along_back", "take_along_dim(x, k, -1)", "torch.take_along_dim(x, k, -1)", dict(x=wave(2, 5), k=torch.tensor([[4, 0], [1, 1]])), "x"

def resized():
    """interpolate: every mode for sequences, images and volumes, up and down, by sizes and by whole and broken factors."""
    inputs = {1: wave(2, 3, 7), 2: wave(2, 3, 5, 6), 3: wave(1, 2, 3, 4, 5)}
    ways = {
        1: ["size=12", "size=3", "scale_factor=2.0", "scale_factor=1.7", "scale_factor=0.4", "scale_factor=1.7, recompute_scale_factor=True"],
        2: ["size=(8, 11)", "size=(2, 3)", "size=(7, 4)", "scale_factor=2.0", "scale_factor=(3.0, 1.5)", "scale_factor=(0.5, 0.7)",
            "scale_factor=(0.5, 0.7), recompute_scale_factor=True"],
        3: ["size=(5, 3, 7)", "scale_factor=2.0", "scale_factor=(1.5, 0.5, 0.9)"],
    }
    modes = {1: ["nearest", "nearest-exact", "linear", "area"], 2: ["nearest", "nearest-exact", "bilinear", "bicubic", "area"],
             3: ["nearest", "nearest-exact", "trilinear", "area"]}
    def options(mode):
        yield ""
        if mode.endswith(("linear", "cubic")): yield ", align_corners=True"
        if mode in ("bilinear", "bicubic"): yield from (", antialias=True", ", antialias=True, align_corners=True")
    for d, x in inputs.items():
        for mode in modes[d]:
            for i, way in enumerate(ways[d]):
                for j, more in enumerate(options(mode)):
                    call = f'{way}, mode="{mode}"{more}'
                    net = re.sub("=", ": ", call).replace("True", "true")
                    yield f"{mode.replace('-', '_')}{d}_{i}{'abcd'[j]}", f"interpolate(x, {net})", f"F.interpolate(x, {call})", dict(x=x), "x"

CASES = [
    ("einsum_attention", 'einsum("b h i d, b h j d -> b h i j", q, k)', 'torch.einsum("bhid,bhjd->bhij", q, k)', dict(q=r(2, 3, 4, 5), k=r(2, 3, 6, 5)), "qk"),
    ("einsum_values", 'einsum("bhij,bhjd->bihd", a, v)', 'torch.einsum("bhij,bhjd->bihd", a, v)', dict(a=r(2, 3, 4, 6), v=r(2, 3, 6, 5)), "av"),
    ("einsum_linear", 'einsum("... i, o i -> ... o", x, w)', 'torch.einsum("...i,oi->...o", x, w)', dict(x=r(2, 3, 4), w=r(5, 4)), "xw"),
    ("einsum_turned", 'einsum("kbi,jbk->ijb", x, y)', 'torch.einsum("kbi,jbk->ijb", x, y)', dict(x=r(4, 2, 3), y=r(5, 2, 4)), "xy"),
    ("einsum_swap", 'einsum("ik,kj->ji", x, y)', 'torch.einsum("ik,kj->ji", x, y)', dict(x=r(3, 4), y=r(4, 5)), "xy"),
    ("einsum_two_inner", 'einsum("b k i l, k l o -> b i o", x, y)', 'torch.einsum("bkil,klo->bio", x, y)', dict(x=r(2, 3, 4, 2), y=r(3, 2, 5)), "xy"),
    ("einsum_outer", 'einsum("i,j->ij", x, y)', 'torch.einsum("i,j->ij", x, y)', dict(x=r(3), y=r(4)), "xy"),
    ("einsum_hadamard", 'einsum("ij,ij->ij", x, y)', 'torch.einsum("ij,ij->ij", x, y)', dict(x=r(3, 4), y=r(3, 4)), "xy"),
    ("einsum_dot", 'einsum("b i, b i -> b", x, y)', 'torch.einsum("bi,bi->b", x, y)', dict(x=r(3, 4), y=r(3, 4)), "xy"),
    ("einsum_matvec", 'einsum("ij,j->i", x, y)', 'torch.einsum("ij,j->i", x, y)', dict(x=r(3, 4), y=r(4)), "xy"),
    ("einsum_vecmat", 'einsum("i,ij->j", x, y)', 'torch.einsum("i,ij->j", x, y)', dict(x=r(3), y=r(3, 4)), "xy"),
    ("einsum_trace", 'einsum("ii->", x)', 'torch.einsum("ii->", x)', dict(x=r(4, 4)), "x"),
    ("einsum_diagonal", 'einsum("bibj->jbi", x)', 'torch.einsum("bibj->jbi", x)', dict(x=r(3, 2, 3, 4)), "x"),
    ("einsum_sum", 'einsum("b i j -> j", x)', 'torch.einsum("bij->j", x)', dict(x=r(2, 3, 4)), "x"),
    ("einsum_bilinear", 'einsum("bi,oij,bj->bo", x, w, y)', 'torch.einsum("bi,oij,bj->bo", x, w, y)', dict(x=r(2, 3), w=r(4, 3, 5), y=r(2, 5)), "xwy"),
    ("einsum_lonely", 'einsum("ij,kl->ik", x, y)', 'torch.einsum("ij,kl->ik", x, y)', dict(x=r(3, 4), y=r(2, 5)), "xy"),
    ("einsum_stretch", 'einsum("...ij,...jk->...ik", x, y)', 'torch.einsum("...ij,...jk->...ik", x, y)', dict(x=r(2, 1, 3, 4), y=r(5, 4, 2)), "xy"),
    ("einsum_integers", 'einsum("ij,jk->ik", x, y)', 'torch.einsum("ij,jk->ik", x, y)', dict(x=torch.arange(6).reshape(2, 3), y=torch.arange(12).reshape(3, 4)), ""),
    ("heads_out", 'rearrange(x, "b (h d) t -> b h t d", h: 3)', "x.reshape(2, 3, 4, 5).permute(0, 1, 3, 2)", dict(x=r(2, 12, 5)), "x"),
    ("heads_back", 'rearrange(x, "b h t d -> b t (h d)")', "x.permute(0, 2, 1, 3).reshape(2, 5, 12)", dict(x=r(2, 3, 5, 4)), "x"),
    ("patches", 'rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p: 2, q: 3)',
     "x.reshape(2, 3, 2, 2, 2, 3).permute(0, 2, 4, 3, 5, 1).reshape(2, 4, 18)", dict(x=r(2, 3, 4, 6)), "x"),
    ("ones", 'rearrange(x, "b 1 ... -> ... () b 1")', "x.squeeze(1).permute(1, 2, 0)[:, :, None, :, None]", dict(x=r(2, 1, 3, 4)), "x"),
    ("flattened", 'rearrange(x, "b ... c -> b c (...)")', "x.permute(0, 3, 1, 2).reshape(2, 5, 12)", dict(x=r(2, 3, 4, 5)), "x"),
    ("batch_joined", 'rearrange(x, "b t ... -> (b t) ...")', "x.flatten(0, 1)", dict(x=r(2, 3, 4)), "x"),
    ("pooled_mean", 'reduce(x, "b (h p) (w q) -> b h w", "mean", p: 2, q: 2)', "x.reshape(2, 3, 2, 2, 2).mean((2, 4))", dict(x=r(2, 6, 4)), "x"),
    ("pooled_max", 'reduce(x, "b c (h 2) (w 2) -> b h w c", "max")', "x.reshape(2, 3, 2, 2, 3, 2).amax((3, 5)).permute(0, 2, 3, 1)", dict(x=r(2, 3, 4, 6)), "x"),
    ("reduced_all", 'reduce(x, "... -> ", "sum")', "x.sum()", dict(x=r(2, 3, 4)), "x"),
    ("reduced_kept", 'reduce(x, "b h w -> b 1 w", "min")', "x.amin(1, keepdim=True)", dict(x=r(2, 3, 4)), "x"),
    ("reduced_prod", 'reduce(x, "b h w -> w b", reduction: "prod")', "x.prod(1).T", dict(x=r(2, 3, 4)), "x"),
    ("repeated_inside", 'repeat(x, "h w -> h (r w)", r: 3)', "x.repeat(1, 3)", dict(x=r(2, 3)), "x"),
    ("repeated_each", 'repeat(x, "h w -> (h r) (w 2)", r: 3)', "x.repeat_interleave(3, 0).repeat_interleave(2, 1)", dict(x=r(2, 3)), "x"),
    ("repeated_new", 'repeat(x, "... c -> ... t c 1", t: 2)', "x.unsqueeze(2).expand(2, 3, 2, 4).unsqueeze(-1)", dict(x=r(2, 3, 4)), "x"),
    ("tile_short", "tile(x, [2, 1])", "torch.tile(x, (2, 1))", dict(x=r(2, 3, 4)), "x"),
    ("cumprod", "cumprod(x, 1)", "torch.cumprod(x, 1)", dict(x=r(2, 5, 3)), "x"),
    ("cumprod_zeros", "cumprod(x, 0)", "torch.cumprod(x, 0)", dict(x=torch.tensor([1., 2., 0., 3., 0., 4.])), "x"),
    ("logcumsumexp", "logcumsumexp(x, -1)", "torch.logcumsumexp(x, -1)", dict(x=3 * r(3, 6)), "x"),
    ("cumsum_integers", "cumsum(x, 0)", "torch.cumsum(x, 0)", dict(x=torch.arange(12).reshape(4, 3)), ""),
    ("cumsum_long", "cumsum(x, 1)", "torch.cumsum(x, 1)", dict(x=r(2, 600)), "x"),
    ("sort_descending", "sort(x, 1, descending: true)", "torch.sort(x, dim=1, descending=True, stable=True)", dict(x=r(2, 40, 3)), "x"),
    ("sort_integers", "sort(x)", "torch.sort(x, stable=True)", dict(x=torch.randint(0, 5, (3, 20))), ""),
    ("topk_middle", "topk(x, 5, 1)", "torch.topk(x, 5, 1)", dict(x=r(2, 30, 3)), "x"),
    ("conv3d", "conv3d(x, w, b, stride: (2, 1, 1), padding: (1, 0, 1), dilation: (1, 2, 1))",
     "F.conv3d(x, w, b, stride=(2, 1, 1), padding=(1, 0, 1), dilation=(1, 2, 1))", dict(x=volume, w=r(4, 3, 3, 2, 2), b=r(4)), "xwb"),
    ("conv3d_groups", "conv3d(x, w, groups: 2)", "F.conv3d(x, w, groups=2)", dict(x=r(1, 4, 3, 3, 3), w=r(6, 2, 2, 2, 2)), "xw"),
    ("convt3d", "conv_transpose3d(x, w, b, stride: 2, padding: 1, output_padding: 1)",
     "F.conv_transpose3d(x, w, b, stride=2, padding=1, output_padding=1)", dict(x=r(2, 3, 2, 3, 2), w=r(3, 2, 3, 3, 2), b=r(2)), "xwb"),
    ("convt3d_dilated", "conv_transpose3d(x, w, stride: (1, 2, 1), dilation: (2, 1, 2), groups: 2)",
     "F.conv_transpose3d(x, w, stride=(1, 2, 1), dilation=(2, 1, 2), groups=2)", dict(x=r(1, 4, 3, 2, 2), w=r(4, 1, 2, 2, 2)), "xw"),
    ("max_pool3d", "max_pool3d(x, 2)", "F.max_pool3d(x, 2)", dict(x=volume), "x"),
    ("max_pool3d_all", "max_pool3d(x, (2, 3, 2), stride: (2, 2, 1), padding: (1, 1, 0), dilation: (1, 1, 2), ceil_mode: true)",
     "F.max_pool3d(x, (2, 3, 2), stride=(2, 2, 1), padding=(1, 1, 0), dilation=(1, 1, 2), ceil_mode=True)", dict(x=volume), "x"),
    ("avg_pool3d", "avg_pool3d(x, 2)", "F.avg_pool3d(x, 2)", dict(x=volume), "x"),
    ("avg_pool3d_all", "avg_pool3d(x, (2, 3, 2), stride: (2, 2, 1), padding: (1, 1, 0), ceil_mode: true)",
     "F.avg_pool3d(x, (2, 3, 2), stride=(2, 2, 1), padding=(1, 1, 0), ceil_mode=True)", dict(x=volume), "x"),
    ("avg_pool3d_inside", "avg_pool3d(x, 3, stride: 2, padding: 1, ceil_mode: true, count_include_pad: false)",
     "F.avg_pool3d(x, 3, 2, 1, True, False)", dict(x=volume), "x"),
    ("avg_pool3d_divisor", "avg_pool3d(x, 2, divisor_override: 3)", "F.avg_pool3d(x, 2, divisor_override=3)", dict(x=volume), "x"),
    ("adaptive_avg_pool3d", "adaptive_avg_pool3d(x, (2, 3, 3))", "F.adaptive_avg_pool3d(x, (2, 3, 3))", dict(x=volume), "x"),
    ("adaptive_max_pool3d", "adaptive_max_pool3d(x, (2, 3, 3))", "F.adaptive_max_pool3d(x, (2, 3, 3))", dict(x=volume), "x"),
    # From here on inputs are drawn from nothing, so that cases before keep theirs.
    *resized(),
    *placed(),
    *edges(),
]

def run(expression, inputs, wrt, cots, double):
    cast = lambda t: t.double() if double and t.is_floating_point() else t
    given = {k: cast(v).clone().requires_grad_(k in wrt) for k, v in inputs.items()}
    out = eval(expression, {"torch": torch, "F": F, **given})
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    for i, o in enumerate(outs):
        if o.is_floating_point() and i not in cots: cots[i] = torch.randn_like(o)
    grads = torch.autograd.grad(sum((outs[i] * cast(c)).sum() for i, c in cots.items()), [given[k] for k in wrt]) if wrt else []
    return [o.detach() for o in outs], list(grads)

largest = lambda a, b: float((a.double() - b.double()).abs().nan_to_num(0).max()) if a.numel() and a.is_floating_point() else 0.0
kind = lambda t: [str(t.dtype)[6:], list(t.shape)]
tensors, described = {}, []
for name, net, expression, inputs, wrt in CASES:
    cots = {}
    outs, grads = run(expression, inputs, wrt, cots, False)
    exact, exact_grads = run(expression, inputs, wrt, cots, True)
    for k, v in inputs.items(): tensors[f"{name}/in/{k}"] = v
    for i, o in enumerate(outs): tensors[f"{name}/out/{i}"] = o
    for i, c in cots.items(): tensors[f"{name}/cot/{i}"] = c
    for k, g in zip(wrt, grads): tensors[f"{name}/grad/{k}"] = g
    described.append({
        "name": name, "net": net, "torch": expression, "inputs": {k: kind(v) for k, v in inputs.items()},
        "outputs": [kind(o) for o in outs], "grads": list(wrt),
        "noise_f32_vs_f64": {"out": [largest(a, b) for a, b in zip(outs, exact)],
                             "grad": {k: largest(a, b) for k, a, b in zip(wrt, grads, exact_grads)}}})
here = pathlib.Path(__file__).parent
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, here / "cases.safetensors")
(here / "cases.json").write_text(json.dumps({"cases": described}, indent=1) + "\n")
