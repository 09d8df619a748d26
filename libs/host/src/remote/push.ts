/**
 * Puts this cmt onto a machine over ssh, with this machine's Node where that one has none that is new enough.
 *
 * INVARIANTS
 * - A folder is named after its content and appears complete, by a rename; what is in it is never touched again. Its own time says when
 *   somebody has asked for it last: nobody takes it away soon after that (prune.ts).
 * - Everything belongs to root, 0700, below one folder.
 */
import { CmtError } from '@cmt/contracts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { run, tryRun, type Finished } from '../process.ts';
import { pruneOld } from './prune.ts';
import { SSH_FAILED, sshArgv, sshRun, type SshHost } from './ssh.ts';
import { sshFailure } from './ssh-failure.ts';
import { rootArgv, type RemoteSurvey } from './survey.ts';
import { hashOf, workerBundle } from './worker-bundle.ts';

/** Where it lies on the machine. */
export interface Pushed {
  /** Absolute path of a node binary that is new enough. */
  readonly node: string;
  /** Absolute path of `cli.js`. */
  readonly cli: string;
  /** Whether anything had to be carried. */
  readonly uploaded: boolean;
}

export interface PushOptions {
  /** Folder of the built `cli.js` here. */
  readonly bundleDir: string;
  /** Folder for it there; below it one folder each for cmt and node. Default {@link REMOTE_ROOT}. */
  readonly root?: string;
  readonly tell?: (line: string) => void;
  readonly signal?: AbortSignal;
}

export const REMOTE_ROOT = '/var/lib/cmt/agentless';
/** Lowest version of Node that runs cmt. */
export const OLDEST_NODE = [20, 19] as const;

const LOOK_MS = 20_000;
/** A hundred megabytes over a slow line. */
const UPLOAD_MS = 15 * 60_000;

/** $1 the folder: exit code 0 when it is there, and marked as asked for. */
const IS_THERE = 'test -d "$1" && touch "$1"';

/** $1 the folder; a tar archive on standard input becomes it, unless somebody was quicker. */
const UNPACK = `set -eu
umask 077
mkdir -p "\${1%/*}"
draft=$(mktemp -d "\${1%/*}/.draft-XXXXXX")
trap 'rm -rf "$draft"' EXIT
tar -xzf - -C "$draft" --no-same-owner --no-same-permissions
chmod 0700 "$draft"
[ -d "$1" ] || mv -T "$draft" "$1"
`;

/** Runs the rest of its arguments with the file $0 as standard input. */
const READING = 'exec <"$0"; exec "$@"';

/** @throws {CmtError} SSH_*, REMOTE_UNSUITABLE, REMOTE_FAILED */
export async function pushCmt(host: SshHost, survey: RemoteSurvey, options: PushOptions): Promise<Pushed> {
  const root = options.root ?? REMOTE_ROOT;
  const { directory, files, hash } = await workerBundle(options.bundleDir);
  const place = { host, survey, signal: options.signal };
  const folder = `${root}/${hash}`;
  const bundleUploaded = await provide(place, folder, { directory, files }, () =>
    options.tell?.(`${host.destination}: cmt is being carried there`),
  );
  const node = await provideNode(place, root, options);
  const uploaded = bundleUploaded || node.uploaded;
  // A newer one than before: what it takes the place of is not needed any more.
  if (uploaded) await pruneOld(host, survey, root, options.signal);
  return { node: node.path, cli: `${folder}/cli.js`, uploaded };
}

interface Place {
  readonly host: SshHost;
  readonly survey: RemoteSurvey;
  readonly signal: AbortSignal | undefined;
}

async function provideNode(
  place: Place,
  root: string,
  { tell }: PushOptions,
): Promise<{ path: string; uploaded: boolean }> {
  const { host, survey } = place;
  if (isNewEnough(survey.nodeVersion)) return { path: survey.node, uploaded: false };
  if (survey.arch !== UNAME[process.arch])
    throw new CmtError('REMOTE_UNSUITABLE', {
      host: host.destination,
      reason: `it has no Node ${OLDEST_NODE.join('.')} or newer, and this machine’s does not run on ${survey.arch}`,
    });
  const hash = (await hashOf(process.execPath)).slice(0, 16);
  const folder = `${root}/node-${process.versions.node}-${hash}`;
  const name = basename(process.execPath);
  const content = { directory: dirname(process.execPath), files: [name] };
  const uploaded = await provide(place, folder, content, () =>
    tell?.(`${host.destination}: Node is being carried there`),
  );
  await requireRuns(place, `${folder}/${name}`);
  return { path: `${folder}/${name}`, uploaded };
}

/** `v20.19.1` and up. */
export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

/** Names of uname(1) for those of Node. */
const UNAME: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

async function requireRuns({ host, survey, signal }: Place, node: string): Promise<void> {
  const { code, stderr } = await sshRun(host, rootArgv(survey, [node, '--version']), {
    timeoutMs: LOOK_MS,
    ...(signal ? { signal } : {}),
  });
  if (code === 0) return;
  const reason = `it has no Node ${OLDEST_NODE.join('.')} or newer, and this machine’s does not start there`;
  throw new CmtError('REMOTE_UNSUITABLE', { host: host.destination, reason }, stderr);
}

interface Content {
  readonly directory: string;
  readonly files: readonly string[];
}

/** @returns whether it had to be carried */
async function provide(place: Place, folder: string, content: Content, before: () => void): Promise<boolean> {
  const { host, survey, signal } = place;
  const look = rootArgv(survey, ['sh', '-c', IS_THERE, 'cmt', folder]);
  const { code } = await sshRun(host, look, { timeoutMs: LOOK_MS, ...(signal ? { signal } : {}) });
  if (code === 0) return false;
  before();
  await upload(place, folder, content);
  return true;
}

/** By way of an archive on this machine's disk, handed over as standard input: the bytes pass no heap. */
async function upload(
  { host, survey, signal }: Place,
  folder: string,
  { directory, files }: Content,
): Promise<void> {
  const options = { timeoutMs: UPLOAD_MS, ...(signal ? { signal } : {}) };
  const draft = await mkdtemp(join(tmpdir(), 'cmt-push-'));
  const path = join(draft, 'cmt.tar.gz');
  try {
    await run('tar', ['-czhf', path, '-C', directory, '--', ...files], options);
    const ssh = sshArgv(host, rootArgv(survey, ['sh', '-c', UNPACK, 'cmt', folder]));
    refuseFailed(host, await tryRun('sh', ['-c', READING, path, ...ssh], options));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function refuseFailed(host: SshHost, { code, stderr, timedOut }: Finished): void {
  if (code === 0) return;
  if (code === SSH_FAILED) throw sshFailure(host.destination, stderr);
  throw failed(host, timedOut ? 'it took too long' : (stderr.trim().split('\n').at(-1) ?? ''), stderr);
}

const failed = (host: SshHost, reason: string, log: string): CmtError =>
  new CmtError('REMOTE_FAILED', { host: host.destination, what: 'Unpacking cmt', reason }, log);
