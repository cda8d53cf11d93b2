"""Files that are no checkpoints, or none that can be read, are named for what they are."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save

from animix.checkpoints.load import FORMATS, format_of, load_network
from animix.checkpoints.strangers import Stranger
from animix.errors import NetworkError
from tests.rosinality_files import state_dict, training_file
from tests.tensorflow_files import generator, write_tensorflow_pickle
from tests.tiny import tiny_tensors

ONE = torch.ones(1)
TENSORS, METADATA = tiny_tensors(img_resolution=8, channels=2, w_dim=4)


def torch_file(content, zipped=True):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def zip_file(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tar_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("network.pkl"))
    return buffer.getvalue()


def numpy_file(several):
    buffer = io.BytesIO()
    if several:
        np.savez(buffer, w=np.zeros((1, 14, 512)))
    else:
        np.save(buffer, np.zeros((1, 512)))
    return buffer.getvalue()


def script_file():
    return zip_file("net/data.pkl", "net/code/__torch__/net.py", "net/constants.pkl")


NAMES = {
    "lucidrains": (
        {"GAN": {"GE.initial_block": ONE, "GE.blocks.0.to_style1.weight": ONE}, "version": "1"},
        "lucidrains' stylegan2-pytorch, .* can't be converted",
    ),
    "rosinality's StyleGAN": (
        {"generator": {"generator.progression.0.adain1.style.linear.bias": ONE}},
        "style-based-gan-pytorch",
    ),
    "a port of StyleGAN": (
        {"g_synthesis.blocks.4x4.epi1.style_mod.lin.weight": ONE},
        r"a StyleGAN network \(of 2019, with AdaIN\) in PyTorch",
    ),
    "alias-free": ({"g_ema": {"affine_fourier.weight": ONE}}, "alias-free-gan-pytorch"),
    "SWAGAN": (
        {"g_ema": {"to_rgb1.conv.modulation.weight": ONE, "to_rgbs.0.iwt.ll": ONE}},
        "a SWAGAN network",
    ),
    "StyleGAN-XL": (
        {"synthesis.input.freqs": ONE, "mapping.embed_proj.weight": ONE},
        "a StyleGAN-XL network",
    ),
    "GenForce": ({"generator": {"synthesis.layer0.weight": ONE}}, "GenForce's code"),
    "Stable Diffusion": (
        {"state_dict": {"model.diffusion_model.out.2.weight": ONE}},
        "a Stable Diffusion checkpoint",
    ),
    "a LoRA": ({"lora_unet_mid.lora_up.weight": ONE}, "a LoRA of"),
    "another LoRA": ({"layers.0.lora_A.weight": ONE}, "a LoRA of"),
    "a U-Net": (
        {"down_blocks.0.weight": ONE, "up_blocks.0.weight": ONE},
        "the U-Net of a diffusion model",
    ),
    "a VQGAN": ({"state_dict": {"quantize.embedding.weight": ONE}}, "a VQGAN"),
    "an autoencoder": (
        {"encoder.down.0.weight": ONE, "decoder.up.0.weight": ONE},
        "an autoencoder of a diffusion model",
    ),
    "a transformer": ({"layers.0.self_attn.q_proj.weight": ONE}, "a transformer"),
    "a discriminator": ({"b4.out.weight": ONE}, "a discriminator alone"),
    "rosinality's discriminator": ({"d": {"final_linear.0.weight": ONE}}, "a discriminator alone"),
}


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_other_kinds_are_named(tmp_path, name, kind):
    content, message = NAMES[name]
    if kind == "safetensors":
        inner = next((v for v in content.values() if isinstance(v, dict)), content)
        data = save({key: value.clone() for key, value in inner.items()})
    else:
        data = torch_file(content, kind == "zip")
    path = tmp_path / "network.pkl"
    path.write_bytes(data)
    for read in (load_network, format_of):
        with pytest.raises(NetworkError, match=f"it is .*{message}.*; animix reads safetensors"):
            read(path)


INDEX = b"\0" * 100 + struct.pack("<Q", 0xDB4775248B80FB57)

FILES = {
    "nothing": (b"", "it is empty: the download probably failed"),
    "a page": (b"<!DOCTYPE html><html>", "a web page or XML: the download probably went wrong"),
    "a page after a blank": (b"\n <html>", "a web page"),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 381673535\n",
        "a Git LFS pointer of a file of 381,673,535 bytes: fetch the file itself",
    ),
    "half a pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "LFS pointer: fetch"),
    "JSON": (b'{"a": 1}', "it is JSON text"),
    "gzip": (b"\x1f\x8b\x08\x00", "a gzip archive: unpack it first"),
    "xz": (b"\xfd7zXZ\0\0", "an xz archive: unpack"),
    "bzip2": (b"BZh91AY", "a bzip2 archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\0", "a Zstandard archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive"),
    "rar": (b"Rar!\x1a\x07\0", "a RAR archive"),
    "tar": (tar_file(), "a tar archive: unpack it first"),
    "zip": (zip_file("network.pkl", "readme.txt"), "a zip archive with 2 members, .* unpack it"),
    "a zip of one": (zip_file("network.pkl"), "a zip archive with 1 member, and"),
    "an empty zip": (zip_file(), "no checkpoint that animix knows"),
    "latents": (numpy_file(True), "NumPy arrays: .* goes into latents:"),
    "a latent": (numpy_file(False), "NumPy numbers: .* goes into latents:"),
    "TorchScript": (script_file(), "a TorchScript program"),
    "Keras": (zip_file("model.weights.h5", "config.json"), "a Keras model"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "GGUF": (b"GGUF\x03\0\0\0", "a GGUF file"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a", "an ONNX model"),
    "a frozen graph": (b"\x0a\x1c\x0a\x05input\x12\x0bPlaceholder", "TensorFlow SavedModel or"),
    "SavedModel": (b"\x08\x01\x12\xff", "a TensorFlow SavedModel"),
    "a checkpoint list": (b'model_checkpoint_path: "a"', "a TensorFlow checkpoint's list"),
    "a checkpoint index": (INDEX, "a TensorFlow checkpoint's .index"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    "JPEG": (b"\xff\xd8\xff\xe0", "a JPEG picture"),
    "a program": (b"MZ\x90\x00\x03", r"no checkpoint that animix knows \(it begins with b'MZ"),
    "statistics": (
        pickle.dumps({"num_items": 3, "raw_mean": np.zeros(3), "raw_cov": np.zeros((3, 3))}),
        "statistics of pictures",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_another_kind_are_named(tmp_path, name):
    content, message = FILES[name]
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=message) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "animix reads safetensors, TensorFlow pickle, NVIDIA" in str(caught.value)


@pytest.mark.parametrize("letter", [b"<", b"{", b"\n", b" "])
def test_a_safetensors_file_may_begin_with_any_letter(tmp_path, letter):
    content = save(TENSORS, METADATA)
    length = int.from_bytes(content[:8], "little")
    padding = (letter[0] - length) % 256
    header = content[8 : 8 + length] + b" " * padding
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    assert path.read_bytes()[:1] == letter
    assert load_network(path).img_resolution == 8


def class_pickle(module, name):
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")\x81."


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("tfutil", "Network", "it is a pickle of the progressive GAN's code"),
        ("sklearn.decomposition", "PCA", "it is a pickle of scikit-learn"),
        ("pandas", "DataFrame", "it is a pickled table"),
        ("pytorch_lightning.callbacks", "ModelCheckpoint", "it is a PyTorch Lightning checkpoint"),
        ("os", "system", "asks for os.system"),
    ],
)
def test_pickles_of_other_objects_are_named(tmp_path, module, name, message):
    path = tmp_path / "network.pkl"
    path.write_bytes(class_pickle(module, name))
    with pytest.raises(NetworkError, match=f"{message}.* nothing in it was run"):
        load_network(path)


def tensorflow_file(tmp_path):
    return write_tensorflow_pickle(tmp_path / "tf.pkl", generator(TENSORS)).read_bytes()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("zip", "it has [0-9,]+ bytes, and a zip archive ends with a list of its members"),
        ("safetensors", "damaged or cut short .* bytes, and its header calls for [0-9,]+"),
        ("pickle", "damaged or cut short; .* a pickle ends with a full stop"),
        ("old torch", "damaged or cut short; .* if its source says more"),
    ],
)
def test_a_download_that_was_cut_short_is_told_with_its_size(tmp_path, kind, message):
    content = {
        "zip": torch_file(TENSORS),
        "safetensors": save(TENSORS, METADATA),
        "pickle": tensorflow_file(tmp_path),
        "old torch": torch_file(TENSORS, zipped=False),
    }[kind]
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    load_network(path)
    # The last byte of the half must not look like an end.
    path.write_bytes(content[: len(content) // 2] + b"\0")
    with pytest.raises(NetworkError, match=message) as caught:
        load_network(path)
    assert str(caught.value).count(f"it has {len(content) // 2 + 1:,} bytes") == 1
    assert str(caught.value).count("fetch it again") == 1


@pytest.mark.parametrize("kind", ["zip", "old torch"])
@pytest.mark.parametrize("missing", [1, 10, 21])
def test_the_size_is_told_where_only_the_last_bytes_are_missing(tmp_path, kind, missing):
    content = torch_file(TENSORS, zipped=kind == "zip")
    path = tmp_path / "network.pt"
    path.write_bytes(content[:-missing])
    with pytest.raises(NetworkError, match=r"fetch it again$") as caught:
        load_network(path)
    assert f"it has {len(content) - missing:,} bytes" in str(caught.value)


def test_a_zip_archive_with_a_comment_is_whole(tmp_path):
    path = tmp_path / "network.pt"
    path.write_bytes(torch_file(TENSORS))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"from a mirror"
    assert load_network(path).img_resolution == 8


HARMLESS = "/data/lora/self_attn/model.diffusion_model/down_blocks/final_linear/raw_mean<{"


@pytest.mark.parametrize("name", [known.name for known in FORMATS if "NVIDIA" not in known.name])
def test_no_stranger_is_seen_in_a_checkpoint(tmp_path, name):
    # Names of folders and data sets that stand in a file are not names of tensors.
    content = {
        "safetensors": lambda: save(TENSORS, {**METADATA, "parent": HARMLESS}),
        "TensorFlow pickle": lambda: write_tensorflow_pickle(
            tmp_path / "tf.pkl", generator(TENSORS, {"data": HARMLESS})
        ).read_bytes(),
        "rosinality .pt": lambda: torch_file(training_file(state_dict(TENSORS), args=HARMLESS)),
        "PyTorch state dict": lambda: torch_file({"G_ema": TENSORS, "args": HARMLESS}),
    }[name]()
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    assert format_of(path).name == name
    assert load_network(path).img_resolution == 8


def test_a_stranger_that_nothing_tells_is_a_mistake():
    with pytest.raises(ValueError, match="nothing tells a ghost"):
        Stranger("a ghost")
