"""``lsi train``: masks and read-out, the latent path, fine-tuning. Each product has a module of its own."""

import argparse
from types import ModuleType
from typing import Final

import training.attributes_command
import training.finetune_command
import training.generator_command
import training.latent_command
import training.latent_finetune_command
import training.teacher_command

HELP: str = "train masks and read-out"
PRODUCTS: Final[dict[str, ModuleType]] = {
    "attributes": training.attributes_command,
    "teacher": training.teacher_command,
    "generator": training.generator_command,
    "latent": training.latent_command,
    "finetune": training.finetune_command,
    "finetune-latent": training.latent_finetune_command,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train`` to its parser."""
    parser.epilog = training.attributes_command.EXAMPLE
    products = parser.add_subparsers(required=True, metavar="PRODUCT", dest="product")
    for name, module in PRODUCTS.items():
        module.add_arguments(products.add_parser(name, help=module.HELP, description=module.HELP))


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen product's command."""
    code: int = PRODUCTS[arguments.product].run(arguments)
    return code
