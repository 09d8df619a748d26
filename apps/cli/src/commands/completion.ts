/** `cmt completion bash|zsh|fish`: verbs, flags and choices for the shell, from the command tree itself. */
import { Argument, type Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addCompletion(program: Command): void {
  addVerb(program, {
    usage: 'completion',
    does: 'print a script that completes verbs, flags and their values',
    examples: [
      ['source <(cmt completion bash)', 'for this shell; likewise zsh'],
      ['cmt completion fish > ~/.config/fish/completions/cmt.fish', 'for good'],
    ],
  })
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .action((shell: 'bash' | 'zsh' | 'fish', flags: CommonFlags) =>
      runVerb(flags, async (io) => {
        const { completionScript } = await import('../present/completion.ts');
        io.out(completionScript(shell, program));
        return ExitCode.done;
      }),
    );
}
