/** docs/automation.md: every command is one that the command line understands, and the program is the one that is type-checked. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../apps/cli/src/program.ts';
import { parseRequest, type RequestFlags } from '../../apps/cli/src/request.ts';
import { readWork } from '../../apps/cli/src/scheduled-words.ts';
import { hostRecord } from '../support/host-record.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../docs/automation.md');

const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '');

/** Words as a shell would make them: quotes taken off, redirections left out. */
function wordsOf(line: string): string[] {
  const command = line.replace(/\s*>{1,2}\s*\S+\s*$/, '');
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) =>
    (single ?? double ?? bare ?? '').replace(/\$\{?\w+\}?|\$\([^)]*\)/g, '7'),
  );
}

const commands = ['sh', 'yaml', 'crontab'].flatMap((language) =>
  blocks(language)
    .flatMap((text) => text.split('\n'))
    .flatMap((line) => /\bcmt [a-z].*$/.exec(line.replace(/^\s*#.*$/, ''))?.[0] ?? []),
);

interface Parsed {
  readonly verb: string;
  readonly operands: readonly unknown[];
  readonly flags: unknown;
}

/** The very program of the command line; verbs only say what they were called with. */
function parse(line: string): Parsed {
  const program = buildProgram('');
  let parsed: Parsed | undefined;
  const listen = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined, outputError: () => undefined });
    command.action((...args: unknown[]) => {
      parsed = { verb: command.name(), operands: args.slice(0, -2), flags: args.at(-2) };
    });
    command.commands.forEach(listen);
  };
  program.commands.forEach(listen);
  program.parse(['node', ...wordsOf(line)]);
  if (parsed === undefined) throw new Error(`${line} leads to no verb`);
  return parsed;
}

describe('docs/automation.md', () => {
  it('shows commands', () => {
    expect(commands.length).toBeGreaterThan(10);
  });

  it.each(commands)('%s', async (line) => {
    const { verb, operands, flags } = parse(line);
    const container = operands[0] as string;
    if (verb === 'migrate' || verb === 'validate')
      parseRequest({ container, flags: flags as RequestFlags, validateOnly: false, newId: 'm-1', now: 1 });
    if (verb !== 'add') return;
    const hosts = ['host1', 'host2'].map(
      (name) => ({ name, state: 'online', ageMs: 0, record: hostRecord(name, '10.0.0.1') }) as const,
    );
    const work = await readWork('sunday', operands[1] as string[], { hosts: () => Promise.resolve(hosts) });
    expect(work.kind).toBe((operands[1] as string[])[0]);
  });

  it('shows the program that is type-checked', () => {
    expect(blocks('ts')).toEqual([read('./examples/client.ts')]);
  });

  it('is understood by this test as a shell would', () => {
    expect(wordsOf(`cmt a 'b c' --id "x-\${Y}" -- d > /dev/null`)).toEqual([
      'cmt',
      'a',
      'b c',
      '--id',
      'x-7',
      '--',
      'd',
    ]);
    expect(() => parse('cmt ps --nod')).toThrow("unknown option '--nod'");
  });
});
