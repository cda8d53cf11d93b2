"""A template: a timeline before its base, its variables and its variants are put into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from animix.errors import Mistake, OptionError
from animix.timeline.document import parse_document
from animix.timeline.extends import with_bases
from animix.timeline.files import relocated, with_name_added
from animix.timeline.misread import quoted, suggestion
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.overrides import Lost, override, put
from animix.timeline.variables import Values, fill, names_read, read_vars, unread
from animix.timeline.variants import Variant, Variants, choose_one, chosen, read_variants
from animix.timeline.vocabulary import KEYS, REUSE_KEYS


@dataclass(frozen=True)
class Template:
    """A timeline's document with its base under it, and what is still to be put in."""

    path: Path
    root: Node
    """Without ``vars`` and ``variants``."""
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...] = ()
    bases: Mapping[str, Path] = field(default_factory=dict)
    """The timelines that it extends, by their names in marks."""
    variables: Mapping[str, Node] = field(default_factory=dict)
    variants: Variants | None = None
    """None: it is one clip."""
    varied: frozenset[str] = frozenset()
    """The variables that variants give values to; their other keys are paths of what is set."""
    whole: bool = True
    """Whether all variables are known."""

    def chosen(self, only: Sequence[str]) -> Sequence[Variant | None]:
        """The variants that are wanted; None stands for a timeline without any."""
        variants = self._variants(only)
        return [None] if variants is None else chosen(variants, only)

    def one(self, only: Sequence[str]) -> Variant | None:
        """As ``chosen``, where it has to be one."""
        variants = self._variants(only)
        return None if variants is None else choose_one(variants, only)

    def _variants(self, only: Sequence[str]) -> Variants | None:
        if only and self.variants is None and not self.mistakes:
            raise OptionError(f"--only {quoted(only[0])}: {self.path} has no variants")
        return self.variants

    def filled(self, variant: Variant | None) -> tuple[Node, list[Mistake]]:
        """The document of one variant, and what went wrong with it."""
        nodes = dict(self.variables)
        missing = {}
        root, mistakes = self.root, []
        for key in self.variants.keys if self.variants else ():
            missing[key] = f"{variant} has no {key}, as other variants have"
        for value in variant.values if variant else ():
            name = value.key.text
            if name in self.varied:
                nodes[name] = value.node
                continue
            try:
                root = put(root, name.split("."), value.node, value.key.mark)
            except Lost as lost:
                mistakes.append(Mistake(value.key.mark, str(lost)))
        root, found = fill(root, Values(nodes, missing, self.whole))
        mistakes += found
        if isinstance(root, MapNode):
            here = self.path.parent
            folders = {name: _from(here, base.parent) for name, base in self.bases.items()}
            root = relocated(root, folders) if self.bases else root
            root = with_name_added(root, variant.name) if variant else root
        return root, mistakes


def read_template(text: str, path: Path, overrides: Mapping[str, str]) -> Template:
    """The template in the text of a file; paths in it start at ``path``.

    Its mistakes are those of the YAML, the bases, ``vars`` and ``variants``.
    """
    root, mistakes = parse_document(text, str(path))
    first = {key: value for key, value in overrides.items() if key == "extends"}
    root, lost = override(root, first)
    mistakes += lost
    extended = with_bases(root, path)
    mistakes += extended.mistakes
    rest = {key: value for key, value in overrides.items() if key != "extends"}
    root, lost = override(extended.root, rest)
    mistakes += lost
    if not isinstance(root, MapNode):
        return Template(path, root, tuple(mistakes))
    parts = {key.text: value for key, value in root.entries if key.text in REUSE_KEYS}
    entries = [entry for entry in root.entries if entry[0].text not in REUSE_KEYS]
    if not extended.whole:  # what is missing may stand in the base
        missing = {"networks", "duration"} - {key.text for key, _ in entries}
        entries += [(TextNode(key, root.mark), Broken(root.mark)) for key in sorted(missing)]
    root = replace(root, entries=tuple(entries))
    variables, found = read_vars(parts.get("vars"))
    whole = extended.whole and not found and not isinstance(parts.get("vars"), Broken)
    mistakes += found
    template = Template(
        path=path,
        root=root,
        mistakes=tuple(mistakes),
        bases=extended.bases,
        variables={name: value for name, (_, value) in variables.items()},
        whole=whole,
    )
    read = names_read(root) | {n for _, value in variables.values() for n in names_read(value)}
    if "variants" in parts:
        template, names = _with_variants(template, parts["variants"], read, overrides)
        read |= names
    notes = () if template.mistakes else tuple(unread(variables, read, extended.bases))
    return replace(template, notes=notes)


def _with_variants(
    template: Template, node: Node, read: set[str], overrides: Mapping[str, str]
) -> tuple[Template, set[str]]:
    """The template with its variants, and the variables that they read."""
    names, own = names_read(node), _keys(node)
    varied = {name for name in own if _is_variable(name, template, read)}
    hint = "a variant can't be made of another one"
    known = {name: value for name, value in template.variables.items() if name not in own}
    filled, mistakes = fill(node, Values(known, dict.fromkeys(own, hint), template.whole))
    variants = None
    if not mistakes:
        variants, mistakes = read_variants(filled)
        mistakes += _without_effect(variants, varied, read, overrides)
    if mistakes or variants is None or not variants.every:
        return replace(template, mistakes=(*template.mistakes, *mistakes), whole=False), names
    template = replace(template, variants=variants, varied=frozenset(varied))
    return template, names | varied


def _keys(node: Node) -> set[str]:
    items = getattr(node, "items", (node,))
    return {key.text for item in items if isinstance(item, MapNode) for key, _ in item.entries}


def _is_variable(name: str, template: Template, read: set[str]) -> bool:
    """Whether a variant's key is a variable, and not what stands in the timeline by that name."""
    return name in template.variables or ("." not in name and (name not in KEYS or name in read))


def _without_effect(
    variants: Variants, varied: set[str], read: set[str], overrides: Mapping[str, str]
) -> list[Mistake]:
    """The keys of variants that change nothing, or that the command line would not change."""
    mistakes = []
    for name, key in variants.keys.items():
        shown = name[:40]
        if name in varied and name not in read:
            hint = suggestion(name, [*read, *KEYS]) or f"write ${shown} where it belongs"
            mistakes.append(Mistake(key.mark, f"nothing reads ${shown}", hint))
        path = f"vars.{name}" if name in varied else name
        if path in overrides:
            message = f"--set {path[:40]}: the variants say what it is"
            hint = f"--only {shown}=… chooses among them, --set variants.{shown}=… replaces them"
            mistakes.append(Mistake(key.mark, message, hint if "." not in name else ""))
    return mistakes


def _from(folder: Path, other: Path) -> Path:
    """The way from a folder to another, as it is written."""
    try:
        return other.relative_to(folder)
    except ValueError:
        return other.absolute()
