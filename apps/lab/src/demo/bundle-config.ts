/** The OCI config.json of a container that can be moved (opencontainers/runtime-spec, config.md). */

/** `bridge`: a network namespace of its own, made beforehand. `none`: one made by runc, with nothing but lo. */
export type ContainerNet =
  | { readonly kind: 'bridge'; readonly address: string }
  | { readonly kind: 'host' }
  | { readonly kind: 'none' };

export interface Process {
  readonly id: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly net: ContainerNet;
  /** `few`: only /proc, for a short blackout. `usual`: what `runc spec` writes. */
  readonly mounts?: 'few' | 'usual';
}

const capabilities = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],
  ...['CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_SETUID', 'CAP_SYS_CHROOT'],
];

const proc = { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] };

const usual = [
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
  {
    ...{ destination: '/dev/pts', type: 'devpts', source: 'devpts' },
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/** Where the network namespace of a container with a bridge is kept, on every host alike. */
export const netnsPath = (id: string): string => `/run/netns/${id}`;

/** No terminal and no annotations: nothing in it ties the container to the host it was started on. */
export function bundleConfig({ id, argv, env = {}, net, mounts = 'few' }: Process): object {
  const variables = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C', ...env };
  return {
    ociVersion: '1.2.0',
    hostname: id,
    root: { path: 'rootfs', readonly: false },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: argv,
      env: Object.entries(variables).map(([key, value]) => `${key}=${value}`),
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    mounts: mounts === 'few' ? [proc] : [proc, ...usual],
    linux: {
      cgroupsPath: `/${id}`,
      namespaces: [...['pid', 'mount', 'uts', 'ipc'].map((type) => ({ type })), ...networkNamespace(id, net)],
    },
  };
}

function networkNamespace(id: string, net: ContainerNet): object[] {
  if (net.kind === 'host') return [];
  return [net.kind === 'none' ? { type: 'network' } : { type: 'network', path: netnsPath(id) }];
}
