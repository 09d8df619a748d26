/**
 * What CRIU and the runtime wrote when they failed, as an entry of the error catalogue: a reason that names the object, and
 * what to do about it. The texts are those of criu 4.2 (`strings $(command -v criu)`) and of runc 1.3.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import { knownDumpRefusals, knownRestoreRefusals, type Refusal } from './refusals.ts';

/** Whose dump or restore it was. */
export interface Whose {
  readonly host: string;
  readonly container: string;
}

/** Files in the work directory: CRIU's own log, and the runtime's (`runc --log`), one JSON object a line. */
export const RUNTIME_LOG = 'runtime.log';
export const DUMP_LOG = 'dump.log';
export const RESTORE_LOG = 'restore.log';

/** Why a dump failed. Never throws: without a log the reason says so. */
export async function explainDump(work: string, whose: Whose): Promise<CmtError> {
  const logs = await readLogs(work, DUMP_LOG);
  return explain(logs, { ...whose, log: join(work, DUMP_LOG) }, 'DUMP', knownDumpRefusals);
}

/** Why a restore failed. Never throws: without a log the reason says so. */
export async function explainRestore(work: string, whose: Whose): Promise<CmtError> {
  const logs = await readLogs(work, RESTORE_LOG);
  const { host, container } = whose;
  if (/container with given ID already exists/.test(logs.runtime))
    return new CmtError('NAME_TAKEN', { host, container });
  return explain(logs, { ...whose, log: join(work, RESTORE_LOG) }, 'RESTORE', knownRestoreRefusals);
}

interface Logs {
  readonly criu: string;
  readonly runtime: string;
}

function explain(
  logs: Logs,
  details: Whose & { readonly log: string },
  what: 'DUMP' | 'RESTORE',
  known: readonly Refusal[],
): CmtError {
  const tail = [...errorLines(logs.criu), ...runtimeErrors(logs.runtime)].join('\n');
  const refusal = findRefusal(tail, known);
  if (refusal !== null) return new CmtError(`${what}_REFUSED`, { ...details, ...refusal }, tail);
  return new CmtError(`${what}_FAILED`, { ...details, reason: reasonOf(logs) }, tail);
}

/** The first known text, in the table's order: particular ones stand before general ones. */
export function findRefusal(
  text: string,
  known: readonly Refusal[],
): { reason: string; hint: string } | null {
  for (const { text: pattern, reason, hint } of known) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const fill = (template: string): string =>
      template.replace(/\$(\d)/g, (_, n: string) => match[Number(n)] ?? '');
    return { reason: fill(reason), hint: fill(hint) };
  }
  return null;
}

const MAX_REASONS = 2;

/** The first errors that CRIU names, else the runtime's last, else that there is none. */
function reasonOf({ criu, runtime }: Logs): string {
  const first = errorLines(criu).map(textOf).filter(isTelling).slice(0, MAX_REASONS);
  if (first.length > 0) return first.join('; ');
  return runtimeErrors(runtime).at(-1) ?? 'it ended without naming a reason';
}

/** `(00.012345)      1: Error (criu/mount.c:123): mnt: …` is an error line; warnings and the rest of the log are not. */
const errorLines = (log: string): string[] =>
  log.split('\n').filter((line) => /(^|[\s)])Error \(/.test(line));

const textOf = (line: string): string => line.replace(/^.*?Error \([^)]*\): /, '').trim();

/** CRIU ends every failed log with lines that say no more than that, and without CAP_SYS_RESOURCE begins each with a harmless one. */
const isTelling = (text: string): boolean =>
  text !== '' &&
  !/(Dumping|dumping|Restoring) FAILED|exited, status=|Can't setup RLIMIT_NOFILE for self/.test(text);

/** What the runtime itself said, without the sentence that says nothing ("criu failed: type NOTIFY errno 0"). */
function runtimeErrors(log: string): string[] {
  return log
    .split('\n')
    .map(messageOf)
    .map((message) => message.replace(/criu failed: type \w+ errno \d+/, '').trim())
    .filter((message) => message !== '');
}

/** The message of a line at level error; lines that are no JSON come from an older runtime and are messages themselves. */
function messageOf(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || !('level' in entry)) return '';
    return entry.level === 'error' && typeof entry.msg === 'string' ? entry.msg : '';
  } catch {
    return line;
  }
}

async function readLogs(work: string, criuLog: string): Promise<Logs> {
  const [criu, runtime] = await Promise.all([criuLog, RUNTIME_LOG].map((file) => textIn(join(work, file))));
  return { criu: criu ?? '', runtime: runtime ?? '' };
}

const textIn = async (path: string): Promise<string> => await readFile(path, 'utf8').catch(() => '');
