"""What runs on a GPU, without one: objectives at the papers' sizes on fake tensors, a run's parts on pretended ones."""

import copy

import pytest
import torch
from elsewhere import CUDA, PretendedGPU, moved
from torch._subclasses import FakeTensorMode

from benchmarks import on_gpu
from benchmarks.bench_evaluator import features, labels
from benchmarks.scenes import counts, feed
from reidlib.evaluate import metrics, protocols, rerank
from reidpapers.run.papers import load
from reidpapers.run.training import Batch

STAGES = {
    "mlsl 1": {"learning": "feature"}, "mlsl": {}, "mlsl none": {"mapping": "none"}, "drdl": {},
    "drdl triplet": {"loss": "triplet"}, "c2f_rank 1": {"learning": "initial"}, "c2f_rank": {}, "agnet": {},
    "agnet spatial": {"mask": "spatial"},
    **{f"multiguided {name}": {"learning": "extractor", "extractor": name, "masks": "given"}
       for name in ("res50", "agn", "dense161bs", "hrnet")},
    "multiguided segmenter": {"learning": "segmenter"}, "multiguided color": {"learning": "classifier_color"},
}  # fmt: skip


class Values(FakeTensorMode):
    """Fake tensors whose values, where code looks at one, are 0: nothing is amiss."""

    def dispatch(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0
        if func is torch.ops.aten.bincount.default:  # of codes, none of which is beyond the least length
            return args[0].new_empty((args[2:] or (kwargs["minlength"],))[0])
        return super().dispatch(func, types, args, kwargs or {})


def config_of(stage, **fields):
    name, changes = stage.split()[0], STAGES[stage]
    return load(name), load(name).Config(pretrained=False, **fields, **changes).canonical()


@pytest.mark.parametrize("stage", STAGES)
def test_every_objective_at_the_papers_sizes_stays_on_the_device(stage):
    paper, config = config_of(stage, profile="paper")
    with torch.device("meta"):
        network = paper.network(config, counts(paper, 24))
    count, size = paper.batch_size(config), config.image_size
    with Values():
        moved(network, lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="cuda"))
        images = torch.empty(count, 3, size, size, device="cuda").to(memory_format=torch.channels_last)
        codes = torch.empty(count, len(paper.toy_labels[0]), dtype=torch.long, device="cuda")
        masks = {"mask": torch.empty(count, size, size, dtype=torch.uint8, device="cuda")}
        terms = paper.objective(config, network, Batch(images, codes, masks))
        assert {str(value.device) for value in terms.values()} == {"cuda:0"}
    assert terms.keys() == paper.term_weights(config).keys()


@pytest.fixture
def room(monkeypatch):
    """As much memory on the GPU as may be wanted."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))


@pytest.mark.parametrize("stage", ["mlsl 1", "mlsl", "drdl", "c2f_rank", "agnet", "multiguided agn",
                                   "multiguided dense161bs", "multiguided segmenter"])  # fmt: skip
def test_batches_objectives_and_features_have_the_cpus_values(stage, monkeypatch, room):
    for name in ("dropout", "dropout2d"):  # of whole channels, in the segmenter
        monkeypatch.setattr(torch.nn.functional, name, lambda values, *args, **kwargs: values)
    paper, config = config_of(stage, profile="smoke")

    network = paper.build(config.model_copy(update={"device": "cpu"}), counts(paper, 24))  # before what draws otherwise

    def computed(config, network):
        batch = feed(paper, config, 24, 4)(1)
        terms = paper.objective(config, network, batch)
        return {**terms, "images": batch.images, "features": network.eval()(batch.images)}

    there = copy.deepcopy(network)
    wanted = computed(config, network.requires_grad_(False))
    with PretendedGPU():
        found = computed(config.model_copy(update={"device": "cuda"}), moved(there))
        assert {value.device for value in found.values()} == {CUDA}
    for name, value in wanted.items():
        assert torch.equal(found[name].numbers, value), name


def test_a_tensor_that_was_left_behind_is_found():
    with PretendedGPU():
        there = torch.ones(3, device="cuda")
        assert there.device == (there + 1).device == CUDA
        assert (there * torch.tensor(2.0)).numbers.tolist() == [2] * 3
        assert there.cpu().tolist() == [1] * 3 and there[torch.tensor([0, 2])].device == CUDA
        with pytest.raises(RuntimeError, match="on cuda and on cpu"):
            there + torch.ones(3)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("protocol", ["veri", "vehicleid", "drdl_retrieval"])
def test_the_evaluator_has_the_cpus_scores(protocol, distance):
    table = labels(on_gpu.SMALL)
    table = table.assign(model="m" + table["vehicle_id"])
    values = features(table)
    wanted = protocols.evaluate(protocol, values, table, distance=distance)
    with PretendedGPU():
        found = protocols.evaluate(protocol, values.to("cuda"), table, distance=distance)
    assert found.mAP == wanted.mAP and (found.first == wanted.first).all() and (found.cmc == wanted.cmc).all()


def test_rerankings_have_the_cpus_distances():
    values = features(labels(on_gpu.SMALL))[:, :64].contiguous()
    codes = torch.arange(260).numpy() % 7
    sides, tracks = (codes[:60], codes[60:]), torch.arange(200).numpy() // 5

    def computed(query, gallery):
        plain = rerank.rooted(metrics.euclidean(rerank.group_means(query, 3.0), gallery))
        apart = rerank.attribute_constraint(plain, sides, sides)
        ways = (rerank.k_reciprocal(query, gallery), apart, rerank.insert_tracks(apart, tracks, 9.0, near=plain))
        return [way(slice(0, 60)) for way in ways]

    wanted = computed(values[:60], values[60:])
    with PretendedGPU():
        there = values.to("cuda")
        found = [distances.cpu() for distances in computed(there[:60], there[60:])]
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_the_script_compares_with_the_cpu(capsys, monkeypatch):
    monkeypatch.setattr(on_gpu, "PAPERS", ("mlsl",))
    assert on_gpu.main(["--device", "cpu", "--profile", "smoke", "--seconds", "0"]) == 0
    printed = capsys.readouterr().out
    assert "ratio" in printed and printed.count(": same") == 3 and "images of 32" in printed


def test_the_script_says_what_is_not_the_same():
    here = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    assert on_gpu.apart(here, here) == (0, 0)
    first, later = on_gpu.apart(here, torch.tensor([[1.0, 2.2], [2.0, 2.0]]))
    assert first == pytest.approx(0.2 / 2.2) and later == 0.5


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_script_says_that_there_is_no_gpu(capsys):
    assert on_gpu.main([]) == 1 and "no GPU here" in capsys.readouterr().out
