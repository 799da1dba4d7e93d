"""``lsi train``: masks and read-out, the latent path, fine-tuning. Each product has a module of its own."""

import argparse
from types import ModuleType
from typing import Final

import training.cli_commands.attributes_command
import training.cli_commands.finetune_command
import training.cli_commands.generator_command
import training.cli_commands.latent_command
import training.cli_commands.latent_finetune_command
import training.cli_commands.teacher_command

HELP: str = "train masks and read-out"
PRODUCTS: Final[dict[str, ModuleType]] = {
    "attributes": training.cli_commands.attributes_command,
    "teacher": training.cli_commands.teacher_command,
    "generator": training.cli_commands.generator_command,
    "latent": training.cli_commands.latent_command,
    "finetune": training.cli_commands.finetune_command,
    "finetune-latent": training.cli_commands.latent_finetune_command,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``lsi train`` to its parser."""
    parser.epilog = training.cli_commands.attributes_command.EXAMPLE
    products = parser.add_subparsers(required=True, metavar="PRODUCT", dest="product")
    for name, module in PRODUCTS.items():
        module.add_arguments(products.add_parser(name, help=module.HELP, description=module.HELP))


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen product's command."""
    code: int = PRODUCTS[arguments.product].run(arguments)
    return code
