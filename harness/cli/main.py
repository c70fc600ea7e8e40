"""The command line: the group of commands, exit codes, and how an error is printed."""

from __future__ import annotations

import importlib
import os
import signal
import sys

import click

from harness.cli.signals import stopping

# folder -> its title in `harness --help`, and name -> line there; the module
# `harness.cli.<folder>.<name>` offers the command as `command`
GROUPS = {
    "measure": (
        "Train, score and judge",
        {
            "bench": "Train and score a board's trainers.",
            "judge": "Judge a file of answers made elsewhere.",
            "regrade": "Judge a board's stored answers again, without generating.",
            "score": "Score a model on a board or on tasks, without training.",
            "verify": "Judge one answer, and explain it step by step.",
        },
    ),
    "share": (
        "Publish and hand in",
        {
            "check": "Judge published answers anew, and recompute every score.",
            "export": "Write a board's results in a format that others read.",
            "publish": "Write the pages of boards from their records, or check them.",
            "push": "Show or send a cell's scores for a model repository.",
            "report": "Write a board's report: one HTML file.",
            "submit": "Make a folder with results to hand in.",
        },
    ),
    "create": (
        "Start something of your own",
        {
            "import": "Make a start model of a GGUF file or a wheel with one.",
            "new": "Write a plug-in or a board to start from.",
        },
    ),
    "inspect": (
        "Show and check",
        {
            "boards": "List the boards, or show one in full.",
            "contamination": "Compare training data with test sets.",
            "diff": "Compare two cells question by question.",
            "doctor": "Check this machine for what usually breaks.",
            "plan": "Say how many seeds and problems find a difference.",
            "plugins": "List the plug-ins and the trainers they offer.",
            "show": "Show an example problem and its exact prompt.",
            "tasks": "List the tasks, or show one in full.",
        },
    ),
}
MODULES = {
    name: f"harness.cli.{folder}.{name}" for folder, (_, names) in GROUPS.items() for name in names
}
# what writes a folder has --out, and what reads it again a name for what it is
SAME_PLACE = {"--out": "--published", "--published": "--out"}


class Commands(click.Group):
    """A group that imports a command's module, or plug-ins, only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*MODULES, *self.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in MODULES:
            command: click.Command = importlib.import_module(MODULES[cmd_name]).command
            return command
        if cmd_name not in self.commands:
            from harness.plugin.host import Host

            host = Host()
            host.load_all()
            host.hook.harness_commands(cli=self)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click's own imports every command for its help
        width = max(map(len, MODULES))
        for title, names in GROUPS.values():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in names.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = args[0], self.get_command(ctx, args[0]), args[1:]
        if command is None:
            from harness.errors import did_you_mean

            hint = did_you_mean(name, self.list_commands(ctx))
            ctx.fail(f"No such command {name!r}; {hint}")
        return name, command, rest


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(package_name="srlm-harness", prog_name="harness")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Train small models in different ways, score them the same way, and compare what holds.

    Begin with `harness bench`: it trains and scores the embedded board `tiny`. docs/README.md
    lists the pages of the documentation. Plug-ins may add commands.
    """


def main() -> None:
    """Run the command line; an error for people is one line on standard error."""
    if any("utf" not in (stream.encoding or "").lower() for stream in (sys.stdout, sys.stderr)):
        from harness.cli.ascii import never_fail

        never_fail(sys.stdout, sys.stderr)
    with stopping() as came:
        try:
            code = cli.main(standalone_mode=False, prog_name="harness")
            sys.exit(code if isinstance(code, int) else 0)
        except click.ClickException as error:
            if isinstance(error, click.NoSuchOption) and error.ctx:
                there = {name for each in error.ctx.command.params for name in each.opts}
                other = SAME_PLACE.get(error.option_name, "")
                if other in there:
                    text = f"No such option {error.option_name!r}. Did you mean {other!r}?"
                    error = click.NoSuchOption(error.option_name, text, ctx=error.ctx)
            error.show()
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            number = came[0] if came else signal.SIGINT
            click.echo(f"harness: ended by {signal.Signals(number).name}", err=True)
            sys.exit(128 + number)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(0)
        except Exception as error:
            if "--debug" in sys.argv:
                raise
            text, code = _explain(error)
            click.echo(f"harness: {text}", err=True)
            sys.exit(code)


def _explain(error: Exception) -> tuple[str, int]:
    from harness.errors import HarnessError, first_line, is_disk_full
    from harness.redact import redact
    from harness.render.escape import terminal

    if isinstance(error, HarnessError):
        text, code = str(error), error.exit_code
    elif is_disk_full(error):
        where = getattr(error, "filename", None) or "no file named"
        text = f"the disk is full ({where}); free some space and give the same command again"
        code = 1
    elif isinstance(error, OSError) and error.filename is not None:
        text = f"cannot use {error.filename}: {error.strerror}; name another place, or change it"
        code = 1
    else:
        text = (
            f"unexpected {type(error).__name__}: {first_line(error)} (harness --debug shows where)"
        )
        code = 1
    return terminal(redact(text)), code
