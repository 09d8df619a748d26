/** Completion scripts. One table of words by command path; each shell only looks up in it. */
import type { Command } from 'commander';

/** Words that may follow a command path such as `lab up`. `values` are those that may follow a flag. */
interface Node {
  readonly path: string;
  readonly words: readonly (readonly [word: string, what: string])[];
  readonly values: readonly (readonly [flag: string, choices: readonly string[]])[];
}

export function completionScript(shell: 'bash' | 'zsh' | 'fish', program: Command): string {
  const nodes = nodesOf(program, '');
  if (shell === 'fish') return fish(nodes);
  const bashScript = bash(nodes);
  return shell === 'bash' ? bashScript : `autoload -U +X bashcompinit && bashcompinit\n${bashScript}`;
}

function nodesOf(command: Command, path: string): Node[] {
  const options = command.options.filter((option) => !option.hidden);
  const node: Node = {
    path,
    words: [
      ...command.commands.map((verb) => [verb.name(), verb.description()] as const),
      ...command.registeredArguments.flatMap((argument) =>
        (argument.argChoices ?? []).map((choice) => [choice, argument.description] as const),
      ),
      ...options.map((option) => [option.long ?? option.flags, option.description] as const),
      ['--help', 'show help'],
    ],
    values: options
      .filter((option) => option.required)
      .map((option) => [option.long ?? '', option.argChoices ?? []] as const),
  };
  const below = command.commands.flatMap((verb) => nodesOf(verb, `${path} ${verb.name()}`.trim()));
  return [node, ...below];
}

/** The path is what the words before the cursor spell of the tree; a flag that takes a value decides first. */
function bash(nodes: readonly Node[]): string {
  const words = nodes.map(
    ({ path, words: all }) => `    '${path}') words='${all.map(([word]) => word).join(' ')}' ;;`,
  );
  const values = nodes.flatMap(({ path, values: all }) =>
    all.map(([flag, choices]) => `    '${path} ${flag}') words='${choices.join(' ')}'; known=1 ;;`),
  );
  const paths = nodes.map(({ path }) => `'${path}'`).join('|');
  return `_cmt() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' words='' known='' word next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "$next" in ${paths}) path="$next" ;; esac
  done
  case "$path $before" in
${values.join('\n')}
  esac
  [ -z "$known" ] && case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ -n "$known" ] && [ -z "$words" ] && COMPREPLY=($(compgen -f -- "$current"))
  return 0
}
complete -F _cmt cmt
`;
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ path, words, values }) => {
    const [verb, sub] = path.split(' ');
    const under = nodes
      .filter((node) => node.path.startsWith(`${path} `))
      .map((node) => node.path.split(' ')[1]);
    const at = !verb
      ? '__fish_use_subcommand'
      : sub
        ? `__fish_seen_subcommand_from ${verb}; and __fish_seen_subcommand_from ${sub}`
        : `__fish_seen_subcommand_from ${verb}${under.length > 0 ? `; and not __fish_seen_subcommand_from ${under.join(' ')}` : ''}`;
    return words.map(([word, what]) => {
      const choices = values.find(([flag]) => flag === word)?.[1];
      const form = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`;
      const taking =
        choices === undefined ? '' : choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : ' -r';
      return `complete -c cmt -n '${at}' ${form}${taking} -d ${fishQuoted(what)}`;
    });
  });
  return `${lines.join('\n')}\n`;
}

const fishQuoted = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;
