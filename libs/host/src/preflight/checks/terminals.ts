/** Terminals whose other end is outside: nobody on the target holds it (criu/tty.c). */
import type { OpenFile, Snapshot } from '../snapshot.ts';
import { findingAbout, findingsByTarget, type Check, type Words } from './finding.ts';

const remedy =
  'Start the container without a terminal (`"terminal": false` in config.json, no `-t`); programs that need one can run in tmux inside.';

export const terminals: Check = (snapshot) => {
  const words: Words = {
    code: 'TERMINAL',
    severity: 'hard',
    reason: 'config.json asks for a terminal, which stays on this host',
    remedy,
  };
  const init = snapshot.processes.find(({ pid }) => pid === snapshot.init) ?? {
    pid: snapshot.init,
    comm: 'init',
  };
  if (snapshot.circumstances.terminal) return [findingAbout(snapshot, init, [], words)];
  const masters = mastersInside(snapshot);
  return findingsByTarget(snapshot, (file) =>
    isTerminal(file) && !file.target.endsWith(' (deleted)') && !masters.has(slaveIndex(file))
      ? { ...words, reason: `${file.target} is a terminal whose other end is outside the container` }
      : null,
  );
};

/** Pseudo-terminals (major 136 to 143), virtual consoles and serial lines (4), the console (5:1); see devices.txt. */
export function isTerminal({ status }: OpenFile): boolean {
  if (status?.kind !== 'character') return false;
  const major = Number(status.device.split(':')[0]);
  return (major >= 136 && major <= 143) || major === 4 || status.device === '5:1';
}

/** Numbers of the pseudo-terminals whose master a process of the container holds. */
function mastersInside({ processes }: Snapshot): Set<number> {
  const indexes = processes.flatMap(({ files }) =>
    files.map(({ info }) => /^tty-index:\s*(\d+)$/m.exec(info)?.[1]).filter((index) => index !== undefined),
  );
  return new Set(indexes.map(Number));
}

const slaveIndex = ({ status }: OpenFile): number => Number(status?.device.split(':')[1]);
