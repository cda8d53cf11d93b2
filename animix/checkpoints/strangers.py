"""Strangers: files that people give for checkpoints and that can't be read, each by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from animix.checkpoints.glance import Glance


@dataclass(frozen=True)
class Stranger:
    """A kind of file, what there is to tell of it, and how it shows; all that is given must."""

    meaning: str
    begins: bytes = b""
    """How the file begins, blanks apart."""
    head: tuple[bytes, ...] = ()
    """What stands in its first 4 KiB."""
    names: tuple[bytes, ...] = ()
    """What stands among the names of its tensors (torch.save's files and safetensors)."""
    member: str = ""
    """A regular expression for all names in a zip archive, or for one with ``any_member``."""
    any_member: bool = False

    def __post_init__(self) -> None:
        if not (self.begins or self.head or self.names or self.member):
            raise ValueError(f"nothing tells {self.meaning}")

    def is_it(self, seen: Glance) -> bool:
        """Whether a file is of this kind."""
        # A safetensors file begins with a number, and any letter may be part of it.
        if self.begins and seen.is_safetensors:
            return False
        if self.member:
            found = [re.search(self.member, name) is not None for name in seen.members]
            if not found or not (any(found) if self.any_member else all(found)):
                return False
        return (
            (seen.head.startswith(self.begins) or seen.head.lstrip().startswith(self.begins))
            and all(piece in seen.head for piece in self.head)
            and all(piece in seen.names for piece in self.names)
        )


LATENTS = "if they are latents, the file goes into latents:"
DIFFUSION = "animix blends StyleGAN's generators"
OTHER_GAN = "whose maths are others than StyleGAN2's and StyleGAN3's"
UNPACK = "unpack it first"

STRANGERS = (
    # Networks of other kinds, by the names of their tensors.
    Stranger(
        f"a network of lucidrains' stylegan2-pytorch, {OTHER_GAN} (noise, upsampling): it can't be "
        "converted",
        names=(b".initial_block", b".to_style1."),
    ),
    Stranger(
        f"a StyleGAN network of rosinality's style-based-gan-pytorch, {OTHER_GAN}",
        names=(b"progression.0.", b".adain1."),
    ),
    Stranger(
        f"a StyleGAN network (of 2019, with AdaIN) in PyTorch, {OTHER_GAN}",
        names=(b".style_mod.lin",),
    ),
    Stranger(
        f"a network of rosinality's alias-free-gan-pytorch, {OTHER_GAN}; NVIDIA's StyleGAN3 "
        "pickles can be read",
        names=(b"affine_fourier.weight",),
    ),
    Stranger(
        f"a SWAGAN network (wavelets, of rosinality's code), {OTHER_GAN}",
        names=(b"to_rgb1.", b".iwt."),
    ),
    Stranger(
        "a StyleGAN-XL network, whose classes and stem animix does not know",
        names=(b"mapping.embed_proj.weight",),
    ),
    Stranger(
        "a network of GenForce's code: give the NVIDIA pickle that it was converted from",
        names=(b"synthesis.layer0.",),
    ),
    Stranger(
        f"a Stable Diffusion checkpoint: {DIFFUSION}",
        names=(b"model.diffusion_model.",),
    ),
    Stranger(
        f"a LoRA of a diffusion or language model: {DIFFUSION}",
        names=(b".lora_up.weight",),
    ),
    Stranger(
        f"a LoRA of a diffusion or language model: {DIFFUSION}",
        names=(b".lora_A.weight",),
    ),
    Stranger(
        f"the U-Net of a diffusion model: {DIFFUSION}",
        names=(b"down_blocks.0.", b"up_blocks.0."),
    ),
    Stranger(
        f"a VQGAN or an autoencoder of one: {DIFFUSION}",
        names=(b"quantize.embedding.weight",),
    ),
    Stranger(
        f"an autoencoder of a diffusion model: {DIFFUSION}",
        names=(b"encoder.down.0.", b"decoder.up.0."),
    ),
    Stranger(
        "a transformer, of a language model or of pictures: " + DIFFUSION,
        names=(b"self_attn.",),
    ),
    # Archives and documents, by how they begin.
    Stranger("a web page or XML: the download probably went wrong", b"<"),
    Stranger("NumPy arrays: " + LATENTS, member=r"\.npy$"),
    Stranger("NumPy numbers: " + LATENTS, b"\x93NUMPY"),
    Stranger(
        "a TorchScript program: save the module's state_dict() instead",
        member=r"(^|/)code/",
        any_member=True,
    ),
    Stranger("a Keras model, in TensorFlow 2", member=r"^model\.weights\.h5$", any_member=True),
    Stranger("a gzip archive: " + UNPACK, b"\x1f\x8b"),
    Stranger("an xz archive: " + UNPACK, b"\xfd7zXZ\0"),
    Stranger("a bzip2 archive: " + UNPACK, b"BZh"),
    Stranger("a Zstandard archive: " + UNPACK, b"\x28\xb5\x2f\xfd"),
    Stranger("a 7z archive: " + UNPACK, b"7z\xbc\xaf\x27\x1c"),
    Stranger("a RAR archive: " + UNPACK, b"Rar!\x1a\x07"),
    Stranger("an HDF5 file (Keras, .h5)", b"\x89HDF"),
    Stranger("a GGUF file, of a language model", b"GGUF"),
    Stranger("an ONNX model: give the checkpoint that it was exported from", b"\x08", (b"onnx",)),
    Stranger(
        "an ONNX model: give the checkpoint that it was exported from",
        b"\x08",
        (b"\x12\x07pytorch",),
    ),
    Stranger("a TensorFlow SavedModel or frozen graph (.pb)", b"\x0a", (b"Placeholder",)),
    Stranger("a TensorFlow SavedModel (.pb)", b"\x08\x01\x12"),
    Stranger("a TensorFlow checkpoint's list of files", b"model_checkpoint_path:"),
    Stranger("a PNG picture", b"\x89PNG"),
    Stranger("a JPEG picture", b"\xff\xd8\xff"),
    Stranger("JSON text", b"{"),
)
"""The first that fits is told. None of them may fit a file that can be read."""

TENSORFLOW_INDEX = bytes.fromhex("57fb808b247547db")
"""The end of a TensorFlow checkpoint's .index: the magic number of its table."""

CLASSES = (
    ("tfutil.", "a pickle of the progressive GAN's code (2017), older than StyleGAN"),
    ("dnnlib.tflib.", "a pickle of TensorFlow code, but not of a network"),
    (
        "torch_utils.persistence.",
        "a whole module saved by torch.save: save its state_dict() instead, or take the .pkl",
    ),
    ("pytorch_lightning.", "a PyTorch Lightning checkpoint, probably of a diffusion model"),
    ("lightning.", "a PyTorch Lightning checkpoint, probably of a diffusion model"),
    ("omegaconf.", "a checkpoint of a diffusion model or an autoencoder"),
    ("transformers.", "a checkpoint of a transformer"),
    ("tensorflow.", "a pickle of TensorFlow objects"),
    ("keras.", "a Keras model"),
    ("sklearn.", "a pickle of scikit-learn, such as a PCA: no network"),
    ("pandas.", "a pickled table: no network"),
    ("PIL.", "a pickled picture"),
    (
        "torch.nn.modules.",
        "a whole module saved by torch.save: load it with its own code, save its state_dict()",
    ),
    ("model.", "a whole module saved by torch.save: save its state_dict() instead"),
    ("__main__.", "an object of somebody's own program"),
)
"""What a pickle is, by the beginning of the first name in it that no network needs."""


def stranger(seen: Glance) -> str | None:
    """What a file is that can't be read, and what to do; None for none that is known."""
    if not seen.size:
        return "empty: the download probably failed"
    if seen.head.startswith(b"version https://git-lfs"):
        size = re.search(rb"\nsize (\d{1,15})\b", seen.head)
        of = f" of a file of {int(size[1]):,} bytes" if size else ""
        return f"a Git LFS pointer{of}: fetch the file itself with git lfs pull"
    if seen.head[257:262] == b"ustar":
        return f"a tar archive: {UNPACK}"
    if seen.tail.endswith(TENSORFLOW_INDEX):
        return "a TensorFlow checkpoint's .index; animix reads the .pkl of NVIDIA's code"
    if _is_statistics(seen):
        return "statistics of pictures (for FID and other measures), no network"
    if _is_discriminator(seen):
        return "a discriminator alone, and pictures come from generators"
    for known in STRANGERS:
        if known.is_it(seen):
            return known.meaning
    return None


def pickled_stranger(name: str) -> str | None:
    """What a pickle is that names a class no network needs; None for none that is known."""
    return next((meaning for start, meaning in CLASSES if name.startswith(start)), None)


def cut_short(seen: Glance) -> str | None:
    """How it shows that a file is only the beginning of one, with its size; None if it does not."""
    what = None
    if seen.is_safetensors:
        ends = re.findall(rb'"data_offsets"\s*:\s*\[\s*\d{1,15}\s*,\s*(\d{1,15})\s*\]', seen.names)
        size = 8 + int.from_bytes(seen.head[:8], "little") + max(map(int, ends), default=0)
        if size > seen.size:
            what = f"its header calls for {size:,}"
    elif seen.is_zip and not _has_list(seen.tail):
        what = "a zip archive ends with a list of its members, and this does not"
    elif seen.is_pickle and not seen.tail.endswith(b"."):
        what = "a pickle ends with a full stop, and this does not"
    if what is None:
        return None
    return (
        f"it has {seen.size:,} bytes, and {what}: the download was probably cut short, fetch it "
        "again"
    )


def _has_list(tail: bytes) -> bool:
    """Whether a zip archive ends with the record of its list of members: 22 bytes, a comment."""
    place = tail.rfind(b"PK\x05\x06")
    record = tail[place:] if place >= 0 else b""
    return len(record) >= 22 and len(record) - 22 >= int.from_bytes(record[20:22], "little")


def _is_statistics(seen: Glance) -> bool:
    networks = (b"persistence", b"tflib", b"G_ema")
    if not seen.is_pickle or any(piece in seen.head for piece in networks):
        return False
    return b"raw_mean" in seen.head or (b"mean" in seen.head and b"inception" in seen.head)


def _is_discriminator(seen: Glance) -> bool:
    """NVIDIA's end in b4.out; rosinality's in final_linear, and a training file has both."""
    generators = (b"synthesis.", b"to_rgb1.")
    return any(piece in seen.names for piece in (b"b4.out.weight", b"final_linear.0.")) and not any(
        piece in seen.names for piece in generators
    )
