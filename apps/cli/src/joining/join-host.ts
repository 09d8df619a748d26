/** `cmt hosts add`: from a machine that ssh reaches to a host of the fleet. Done twice it changes nothing. */
import { randomBytes } from 'node:crypto';
import { CmtError, type WorkerConfig } from '@cmt/contracts';
import {
  authorise,
  INSTALLED,
  installedConfig,
  installWorker,
  pushCmt,
  requirePrograms,
  surveyHost,
  workerSshKey,
  type RemoteMachine,
  type SshHost,
} from '@cmt/host';
import { userOf } from '@cmt/queue';
import { z } from 'zod';
import { bundleDir } from '../apps.ts';
import type { Fleet } from '../fleet.ts';
import type { FleetPlace } from './fleet-place.ts';

export interface JoinWish {
  readonly host: SshHost;
  /** Without it the name that it has already, or that of the machine. */
  readonly name: string | undefined;
  readonly address: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly asService: boolean;
  readonly tell: (line: string) => void;
}

export interface Joined {
  readonly name: string;
  readonly changed: boolean;
  /** Started as a plain process: nobody starts it again after a crash or a reboot. */
  readonly isService: boolean;
  /** What could not be done and who has to do it, in sentences. */
  readonly notes: readonly string[];
}

/** What is read of a configuration that is there. */
const Known = z.looseObject({ name: z.string(), redis: z.string() });

/** Programs without which no container can move. */
const NEEDED = ['criu', 'runc', 'rsync', 'ip', 'tar'];

/** @throws {CmtError} SSH_*, SUDO_REFUSED, REMOTE_*, HOST_NAME_TAKEN, REDIS_REFUSED; nothing is changed before all was looked at */
export async function joinHost(fleet: Fleet, place: FleetPlace, wish: JoinWish): Promise<Joined> {
  const { host, tell } = wish;
  const survey = await surveyHost(host);
  requirePrograms(host, survey, NEEDED);
  const machine: RemoteMachine = { host, survey };
  const known = await knownConfig(machine, place);
  const name = wish.name ?? known?.name ?? nameFrom(host);
  await refuseTaken(fleet, name, known?.name);
  const password = known?.name === name ? passwordIn(known.redis) : randomBytes(24).toString('hex');
  const isKept = await fleet.setHostUser(name, password);
  const pushed = await pushCmt(host, survey, { bundleDir: bundleDir(), root: INSTALLED.root, tell });
  const publicKey = await workerSshKey(machine, name);
  const notes = [
    ...(isKept ? [] : [FORGETFUL]),
    ...(await introduce(fleet, wish, { machine, name, publicKey })),
  ];
  const isService = wish.asService && survey.systemd;
  const address = wish.address ?? survey.address;
  const config = configOf({
    name,
    address,
    labels: { ...wish.labels },
    redis: redisOf(place.redis, name, password),
  });
  const changed = await installWorker(machine, {
    pushed,
    config,
    trusted: place.trusted,
    asService: isService,
  });
  if (!isService)
    notes.push(`${name} has no systemd, or was not to use it: nobody starts its worker after a reboot.`);
  return { name, changed, isService, notes };
}

const FORGETFUL =
  'Redis has no file for its users (`aclfile`): after a restart of Redis run `cmt hosts add` again for each host.';

function configOf(
  own: Pick<WorkerConfig, 'name' | 'address' | 'labels'> & { readonly redis: string },
): string {
  const { stateDir, trusted: trustedKeysDir, sshKey } = INSTALLED;
  return `${JSON.stringify({ ...own, stateDir, trustedKeysDir, sshKey }, undefined, 2)}\n`;
}

function redisOf(url: string, name: string, password: string): string {
  const own = new URL(url);
  own.username = userOf(name);
  own.password = password;
  return own.href;
}

const passwordIn = (url: string): string => decodeURIComponent(new URL(url).password);

/** @throws {CmtError} REMOTE_HAS_WORKER when the machine belongs to another fleet */
async function knownConfig(machine: RemoteMachine, place: FleetPlace): Promise<z.infer<typeof Known> | null> {
  const text = await installedConfig(machine);
  if (text === null) return null;
  const known = Known.safeParse(JSON.parse(text));
  const isOurs = known.success && new URL(known.data.redis).host === new URL(place.redis).host;
  if (!isOurs) {
    const name = known.data?.name ?? 'unknown';
    throw new CmtError('REMOTE_HAS_WORKER', { host: machine.host.destination, name });
  }
  return known.data;
}

const nameFrom = ({ destination }: SshHost): string => destination.slice(destination.indexOf('@') + 1);

/** @throws {CmtError} HOST_NAME_TAKEN */
async function refuseTaken(fleet: Fleet, name: string, before: string | undefined): Promise<void> {
  const taken = (await fleet.hosts()).find((seen) => seen.name === name);
  if (taken === undefined || name === before || taken.state === 'offline') return;
  throw new CmtError('HOST_NAME_TAKEN', { host: name, address: taken.record.endpoint.address });
}

interface Newcomer {
  readonly machine: RemoteMachine;
  readonly name: string;
  readonly publicKey: string;
}

/** The newcomer and each host that is there let each other's workers in. @returns those who could not be reached */
async function introduce(
  fleet: Fleet,
  wish: JoinWish,
  { machine, name, publicKey }: Newcomer,
): Promise<string[]> {
  const others = (await fleet.hosts()).filter((seen) => seen.state === 'online' && seen.name !== name);
  const notes: string[] = [];
  for (const { name: other, record } of others) {
    const { address, sshPort, sshUser } = record.endpoint;
    const { config } = wish.host;
    const host: SshHost = {
      destination: `${sshUser}@${address}`,
      port: sshPort,
      ...(config ? { config } : {}),
    };
    try {
      const peer: RemoteMachine = { host, survey: await surveyHost(host) };
      await authorise(peer, name, publicKey);
      await authorise(machine, other, await workerSshKey(peer, other));
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      notes.push(
        `${other} could not be told of ${name} (${error.message}) Let their workers in by hand: ${INSTALLED.sshKey}.pub of each into authorized_keys of the other.`,
      );
    }
  }
  return notes;
}
