/** Tools and connections of a lab host that fail on purpose, and are whole again afterwards. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { hostOf, labScript, type Lab } from '@cmt/lab';
import { patient } from './patience.ts';

export type Mend = () => Promise<void>;

/** Puts a program before the real one in the PATH of a host's worker; `script` decides when the real one is run. */
export async function shadow(lab: Lab, host: string, program: string, script: string): Promise<Mend> {
  const path = `/usr/local/sbin/${program}`;
  await inHost(
    lab,
    host,
    `cat > ${path} && chmod 755 ${path}`,
    `#!/bin/sh\n${script}\nexec /usr/sbin/${program} "$@"\n`,
  );
  return () => inHost(lab, host, `rm ${path}`);
}

/**
 * For a `shadow` of criu: its work begins as it should, and something is done to it (process `$$`) as soon as the container is frozen.
 * An armed dump has been started long before. Built-in commands only: a dump takes no longer than the start of a few processes.
 */
export const onceFrozen = (container: string, act: string): string => `[ "$1" != swrk ] || (
  eval "exec $2>&-"
  events=$(jq -r '.cgroup_paths[""]' /run/runc/${container}/state.json)/cgroup.events
  is_frozen() { while read -r key value; do [ "$key $value" != 'frozen 1' ] || return 0; done <"$events"; return 1; }
  until is_frozen; do kill -0 $$ || exit 0; done
  ${act}
) </dev/null >/dev/null 2>&1 &`;

/**
 * For a `shadow` of criu: what the one that restores does first. Not the one that runc asks for its version while it waits for images: then
 * there are none yet (libs/host/src/runtimes/armed-restore.ts).
 */
export const onceRestoring = (act: string): string =>
  `if [ "$1" = swrk ] && ls /run/cmt/images/*/*/final.armed/inventory.img >/dev/null 2>&1; then ${act}; fi`;

/** Takes a program of a host away. */
export async function takeAway(lab: Lab, host: string, path: string): Promise<Mend> {
  await inHost(lab, host, `mv ${path} ${path}.away`);
  return () => inHost(lab, host, `mv ${path}.away ${path}`);
}

async function inHost(lab: Lab, host: string, script: string, input?: string): Promise<void> {
  const limit = { timeoutMs: patient(10_000), ...(input === undefined ? {} : { input }) };
  await labScript(lab, host, script, limit);
}

/** Resets every connection for images and files that a host gets from now on, and those it has, at the next packet. */
export async function refuseTransfers(lab: Lab, host: string): Promise<Mend> {
  const rules = `table inet refused { chain in {
    type filter hook input priority 0; iifname "cmt0" tcp dport { 22, 7070 } reject with tcp reset
    }
  }\n`;
  await inHost(lab, host, 'nft -f -', rules);
  return () => inHost(lab, host, 'nft delete table inet refused');
}

/** Resolves when a host has sent this many bytes to the network since it was called. */
export async function untilSent(lab: Lab, host: string, bytes: number): Promise<void> {
  const start = await bytesSent(lab, host);
  while ((await bytesSent(lab, host)) < start + bytes) await pause(2);
}

/** Bytes that have left a host by its cable so far. */
export async function bytesSent(lab: Lab, host: string): Promise<number> {
  const devices = await readFile(`/proc/${hostOf(lab, host).init?.pid ?? 0}/net/dev`, 'utf8');
  const [, counters = ''] = /^\s*eth0:(.*)$/m.exec(devices) ?? [];
  return Number(counters.trim().split(/\s+/)[8]);
}
