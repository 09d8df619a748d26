/** A lab made into a fleet: the embedded Redis inside its network, a coordinator, a worker in every host. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CmtError, type WorkerConfig } from '@cmt/contracts';
import { isRedisRunning, WORKER_NODE_FLAGS } from '@cmt/host';
import { connectProducer, hosts as announcedHosts, loadKeyPair, parseRedisUrl } from '@cmt/queue';
import { pino } from 'pino';
import { bundleDir, type LabApp, type LabView } from '../apps.ts';
import { coordinatorStateDir, ensureEmbedded, stopEmbedded } from './embedded.ts';
import { readSetup, redisDir, redisUrlInLab, writeSetup, type Setup } from './setup.ts';

const REDIS_PORT = 6379;
const READY_MS = 180_000;
const PUT = { timeoutMs: 60_000 };

/** A lab and the app that made it. */
export interface LabSite {
  readonly app: LabApp;
  readonly lab: LabView;
  readonly stateDir: string;
}

/**
 * Starts what a fleet needs, unless it runs, and returns when every host's worker has announced itself.
 * @throws {CmtError} LAB_FAILED with the end of a worker's log, and everything that Redis can fail with
 */
export async function raiseFleet(site: LabSite, tell: (line: string) => void): Promise<void> {
  const tcp = await ensureLabRedis(site);
  tell('Redis and a coordinator run');
  await Promise.all(site.lab.hosts.map(({ name }) => ensureWorker(site, name, tcp)));
  await allAnnounced(site);
  tell(`workers run on ${site.lab.hosts.map(({ name }) => name).join(', ')}`);
}

/** @throws {CmtError} LAB_FAILED when this state directory serves another lab: it has one Redis. */
export async function refuseOtherLab(stateDir: string, name: string): Promise<void> {
  const { lab } = await readSetup(stateDir);
  if (lab === null || lab === name) return;
  throw labFailed(`${stateDir} serves lab ${lab}; give ${name} another --state-dir, or take ${lab} down`);
}

async function ensureLabRedis({ app, lab, stateDir }: LabSite): Promise<NonNullable<Setup['tcp']>> {
  const before = await readSetup(stateDir);
  const argvPrefix = app.fabricExecArgv(lab, []);
  const password = before.tcp?.password ?? randomBytes(24).toString('hex');
  const tcp = { bind: lab.fabric.gateway, port: REDIS_PORT, password };
  const setup: Setup = { v: 1, lab: lab.name, tcp, argvPrefix };
  const same = JSON.stringify(setup) === JSON.stringify(before);
  if (!same || !(await isRedisRunning(redisDir(stateDir)))) await stopEmbedded(stateDir);
  await writeSetup(stateDir, setup);
  await ensureEmbedded(stateDir);
  return tcp;
}

async function ensureWorker(site: LabSite, name: string, tcp: NonNullable<Setup['tcp']>): Promise<void> {
  const { app, lab, stateDir } = site;
  const running = (await app.listDaemons(lab, name)).find((daemon) => daemon.name === 'worker');
  if (running && app.isAlive(running.process)) return;
  const { address } = lab.hosts.find((host) => host.name === name) ?? { address: '' };
  const config = {
    ...{ redis: redisUrlInLab(tcp), name, address, stateDir: '/var/lib/cmt' },
    ...{ trustedKeysDir: '/etc/cmt/trusted', sshKey: '/root/.ssh/id_ed25519', hooks: 'any' as const },
  } satisfies Partial<WorkerConfig>;
  const coordinator = coordinatorStateDir(stateDir);
  await loadKeyPair(coordinator);
  const key = await readFile(join(coordinator, 'keys/cmt.pub'), 'utf8');
  await put(site, name, '/etc/cmt/trusted/coordinator.pub', key);
  await put(site, name, '/etc/cmt/config.json', JSON.stringify(config));
  const argv = ['node', ...WORKER_NODE_FLAGS, join(bundleDir(), 'cli.js'), 'worker'];
  await app.spawnInHost(lab, name, { name: 'worker', argv });
}

/** Writes a file inside a host, readable by root only. */
async function put({ app, lab }: LabSite, host: string, path: string, text: string): Promise<void> {
  const script = 'umask 077 && mkdir -p "$(dirname "$0")" && cat > "$0"';
  const { code, stderr } = await app.labExec(lab, host, ['sh', '-c', script, path], { ...PUT, input: text });
  if (code !== 0) throw labFailed(`${path} could not be written in ${host}: ${stderr}`);
}

async function allAnnounced(site: LabSite): Promise<void> {
  const { lab, stateDir } = site;
  const logger = pino({ level: 'silent' });
  const redis = await connectProducer(parseRedisUrl(await ensureEmbedded(stateDir)), logger);
  const deadline = performance.now() + READY_MS;
  try {
    for (;;) {
      const online = (await announcedHosts(redis)).filter(({ state }) => state === 'online');
      const missing = lab.hosts.filter(({ name }) => !online.some((host) => host.name === name));
      if (missing.length === 0) return;
      await refuseDead(site, missing, performance.now() > deadline);
      // Announcements are keys, not messages: there is nothing to await.
      await pause(100);
    }
  } finally {
    redis.disconnect();
  }
}

/** @throws {CmtError} LAB_FAILED when a worker has ended, or all patience has. */
async function refuseDead(
  { app, lab }: LabSite,
  missing: readonly { readonly name: string }[],
  late: boolean,
): Promise<void> {
  for (const { name } of missing) {
    const worker = (await app.listDaemons(lab, name)).find((daemon) => daemon.name === 'worker');
    if (worker && !late && app.isAlive(worker.process)) continue;
    const log = worker ? await readFile(worker.logFile, 'utf8').catch(() => '') : '';
    throw labFailed(`the worker on ${name} ${late ? 'does not announce itself' : 'has ended'}`, log);
  }
}

const labFailed = (reason: string, log?: string): CmtError => new CmtError('LAB_FAILED', { reason }, log);
