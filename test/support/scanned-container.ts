/** A container on host1 of a lab that runs a line of perl, and with whatever the line opened, waits: to be scanned and dumped. */
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { start } from '@cmt/host';
import { labExec, labExecArgv, type Lab } from '@cmt/lab';
import { expect, vi } from 'vitest';
import { bundleOf, makeBundle, pathInHost } from '../../apps/lab/src/demo/container.ts';

export const CONTAINER = 'scanned';
export const BUNDLE = bundleOf(CONTAINER);

/** Runs what it is given, says that it is ready, and waits. */
const PROGRAM = `
$| = 1;
eval $ENV{DO}; die $@ if $@;
open(my $ready, ">", "/data/ready") or die; close $ready;
while (1) { sleep 1 }`;

export class ScannedContainer {
  readonly #lab: Lab;
  readonly #config: string;

  private constructor(lab: Lab) {
    this.#lab = lab;
    this.#config = pathInHost(lab, 'host1', join(BUNDLE, 'config.json'));
  }

  static async make(lab: Lab): Promise<ScannedContainer> {
    await makeBundle(lab, 'host1', {
      ...{ id: CONTAINER, argv: ['perl', '-e', PROGRAM], env: { DO: '@DO@' } },
      ...{ net: { kind: 'none' }, mounts: 'usual', programs: ['/usr/bin/perl', '/usr/bin/sleep'] },
    });
    const made = new ScannedContainer(lab);
    await writeFile(made.#template, await readFile(made.#config));
    return made;
  }

  get #template(): string {
    return `${this.#config}.template`;
  }

  /** Standard output of a script in a host; fails the test when the script fails. */
  async inHost(script: string, host = 'host1'): Promise<string> {
    const { code, stdout, stderr } = await labExec(this.#lab, host, ['bash', '-uc', script]);
    expect({ script, code, stderr }).toMatchObject({ code: 0 });
    return stdout.trim();
  }

  /** Writes the line of perl into config.json. */
  async prepare(perl: string): Promise<void> {
    const text = await readFile(this.#template, 'utf8');
    await writeFile(
      this.#config,
      text.replace('@DO@', () => JSON.stringify(perl).slice(1, -1)),
    );
  }

  /** Starts it by a shell command that holds whatever it shall inherit; `$RUN` runs runc. */
  async start(perl: string, command = 'exec $RUN'): Promise<void> {
    await this.prepare(perl);
    const runc = `RUN='runc --log /run/runc.log run -d --bundle ${BUNDLE} ${CONTAINER}'`;
    const argv = ['bash', '-c', `${runc}; ${command}`];
    const { code } = await labExec(this.#lab, 'host1', argv, { timeoutMs: 20_000, stdio: 'ignore' });
    expect({ code, log: await this.inHost('tail -n 2 /run/runc.log') }).toMatchObject({ code: 0 });
    await this.ready();
  }

  /** Resolves when the line of perl has run. */
  ready = (): Promise<unknown> => this.there('ready');

  /** Resolves when a file is in /data of the container. */
  there = (file: string): Promise<unknown> =>
    vi.waitFor(() => this.inHost(`test -e ${BUNDLE}/rootfs/data/${file}`), { timeout: 10_000, interval: 50 });

  pid = async (): Promise<number> => Number(await this.inHost(`runc state ${CONTAINER} | jq .pid`));

  /** Whether real CRIU dumps it, with the flags and the configuration that cmt uses. */
  async criuDumps(): Promise<boolean> {
    const flags =
      '--leave-running --file-locks --tcp-established --image-path /run/dumped/i --work-path /run/dumped/w';
    const config = 'printf "network-lock skip\\nghost-limit 512M\\ntimeout 5\\n" > /run/dumped/conf';
    const dump = `CRIU_CONFIG_FILE=/run/dumped/conf runc checkpoint ${flags} ${CONTAINER} >/dev/null 2>&1; echo $?`;
    return (await this.inHost(`mkdir -p /run/dumped; ${config}; runc pause ${CONTAINER}; ${dump}`)) === '0';
  }

  /** A process in the host that stays until its `end`; resolves when it has printed a line. */
  async beside(...argv: readonly string[]): Promise<{ end: () => Promise<void> }> {
    const [program = '', ...args] = labExecArgv(this.#lab, 'host1', argv);
    const child = start(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => createInterface({ input: child.stdout! }).once('line', resolve));
    return {
      end: async () => {
        child.kill('SIGKILL');
        await child;
      },
    };
  }

  /** Kills it, and removes what it and the dump have left. The bundle stays for the next test. */
  reset = (): Promise<string> =>
    this.inHost(`runc delete --force ${CONTAINER}; rm -rf ${BUNDLE}/rootfs/data/* /run/dumped`);
}
