/** What a machine's facts mean for migrations. Pure. */
import { fine, type Diagnosis, type HostFacts } from '@cmt/contracts';

export interface MachineFacts {
  readonly facts: HostFacts;
  readonly isRoot: boolean;
  /** Programs that cmt starts and that are not there. */
  readonly missing: readonly string[];
}

/** The oldest CRIU that the live tests pass with. */
const CRIU: readonly [number, number] = [4, 2];
/** Below this there is no room for the images of a small container. Bytes. */
const LITTLE = 256 * 1024 * 1024;

const INSTALL: Readonly<Record<string, string>> = {
  rsync: 'rsync',
  ip: 'iproute2',
  nft: 'nftables',
  sshd: 'openssh-server',
};

export const diagnoseMachine = (machine: MachineFacts): Diagnosis[] => {
  const { facts } = machine;
  const say = sayingOf(facts.name);
  return [
    fine('machine', facts.name, `Linux ${facts.kernel} on ${facts.arch}, ${facts.cpus} CPUs`),
    ...rootOf(machine, say),
    ...machine.missing.map((program) =>
      say(
        'problem',
        'machine',
        `${program} is not installed`,
        `\`apt-get install ${INSTALL[program] ?? program}\`.`,
      ),
    ),
    ...roomOf(facts, say),
    ...criuOf(facts, say),
    ...runtimesOf(facts, say),
  ];
};

type Say = (level: Diagnosis['level'], area: Diagnosis['area'], message: string, remedy: string) => Diagnosis;

const sayingOf =
  (about: string): Say =>
  (level, area, message, remedy) => ({ level, area, about, message, remedy });

const rootOf = ({ isRoot, facts }: MachineFacts, say: Say): Diagnosis[] =>
  isRoot
    ? [fine('machine', facts.name, 'this process is root')]
    : [
        say(
          'problem',
          'machine',
          'CRIU needs root, and this process is not',
          'Run it as root, or with sudo.',
        ),
      ];

function roomOf({ imagesFree, memoryAvailable }: HostFacts, say: Say): Diagnosis[] {
  const low = (bytes: number, what: string, remedy: string): Diagnosis[] =>
    bytes < LITTLE ? [say('warning', 'machine', `only ${Math.round(bytes / 1e6)} MB ${what}`, remedy)] : [];
  return [
    ...low(imagesFree, 'are free where images go', 'Free space, or choose another `--images-dir`.'),
    ...low(memoryAvailable, 'of memory are available', 'Stop something, or move containers away.'),
  ];
}

function criuOf({ criu, criuProblem, features, name }: HostFacts, say: Say): Diagnosis[] {
  if (criu === null)
    return [
      say('problem', 'criu', 'CRIU is not installed', '`apt-get install criu` (4.2 or newer), or build it.'),
    ];
  const found: Diagnosis[] = [];
  if (criuProblem !== null)
    found.push(
      say('problem', 'criu', `\`criu check\` says: ${criuProblem}`, 'See criu.org/Check_the_kernel.'),
    );
  const [major = 0, minor = 0] = criu.split('.').map(Number);
  if (major < CRIU[0] || (major === CRIU[0] && minor < CRIU[1]))
    found.push(
      say(
        'warning',
        'criu',
        `CRIU ${criu} is older than ${CRIU.join('.')}`,
        'Upgrade it: older ones fail on new kernels.',
      ),
    );
  if (!features.dirtyTracking) {
    const remedy =
      'Nothing need be done; a kernel with CONFIG_MEM_SOFT_DIRTY makes blackouts of busy containers shorter.';
    found.push(say('note', 'criu', 'the kernel does not track dirty pages: no pre-copy rounds', remedy));
  }
  return found.some(({ level }) => level !== 'note')
    ? found
    : [fine('criu', name, `CRIU ${criu}, \`criu check\` says that all is well`), ...found];
}

function runtimesOf({ runtimes, name }: HostFacts, say: Say): Diagnosis[] {
  const found = Object.entries(runtimes).map((pair) => pair.join(' '));
  if (found.length > 0) return [fine('runtime', name, found.join(', '))];
  return [say('problem', 'runtime', 'there is no container runtime', '`apt-get install runc`.')];
}
