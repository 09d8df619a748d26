/**
 * ssh: one authenticated connection to the target's sshd, each channel forwarded to the receiver's unix socket there.
 *
 * INVARIANTS
 * - No host key is believed that is not pinned; without a pin nothing is sent.
 * - The agent is never forwarded.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CmtError } from '@cmt/contracts';
import type { HostName, Route } from '@cmt/contracts';
import { Client } from 'ssh2';
import type { ConnectConfig, ServerHostKeyAlgorithm } from 'ssh2';
import { errnoOf } from './errno.ts';
import { dialRelay } from './relay.ts';
import { fingerprint, pinsOf } from './known-hosts.ts';
import type { Pins } from './known-hosts.ts';
import { within } from './limits.ts';
import type { Transport, Way, Wire } from './transport.ts';

export interface SshOptions {
  readonly host: HostName;
  /** Private key file; without it ssh-agent at `agent`. */
  readonly sshKey?: string | undefined;
  readonly agent?: string | undefined;
  readonly knownHosts?: string | undefined;
  /** Unix socket that leads through the client to every other host it works on; their own ssh servers ask for no key. */
  readonly relay?: string | undefined;
  /** Milliseconds for a connection to be made and authenticated. */
  readonly timeoutMs: number;
}

/** Milliseconds for a direct connection where there is another way: nothing stands still meanwhile. */
const DIRECT_MS = 3000;

const KEEPALIVE_MS = 5000;
const KEEPALIVES_LOST = 3;

/** AES-GCM runs in hardware on nearly every server. */
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes128-ctr',
  'aes256-ctr',
] as const;

/** What a pinned key type can sign with; ssh-rsa keys sign with SHA-2 only. */
const SIGNATURES: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

export function createSshTransport(options: SshOptions): Transport {
  return { connect: (route, signal) => connect(route, options, signal) };
}

/** Straight to the other host; where that does not work, through the client, whose relay sees nothing but ciphertext. */
async function connect(route: Route, options: SshOptions, signal: AbortSignal): Promise<Wire> {
  const { relay } = options;
  if (relay === undefined) return await connectBy('direct', route, options, signal);
  try {
    return await connectBy('direct', route, { ...options, timeoutMs: DIRECT_MS }, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof CmtError)) throw error;
    const socket = await dialRelay(relay, route.peer, { ms: options.timeoutMs, signal }).catch(() => null);
    if (socket === null) throw error;
    return await connectBy('relayed', route, options, signal, socket);
  }
}

async function connectBy(
  way: Way,
  route: Route,
  options: SshOptions,
  signal: AbortSignal,
  sock?: Socket,
): Promise<Wire> {
  const { endpoint } = route;
  const failures = failuresOf(route, options.host);
  const knownHosts = options.knownHosts === undefined ? '' : await readIfThere(options.knownHosts);
  const pins = pinsOf(endpoint.address, endpoint.sshPort, endpoint.sshHostKeys, knownHosts);
  const credentials = await credentialsOf(options, failures);
  const client = new Client();
  const ready = whenReady(client, failures);
  client.connect({
    ...(sock === undefined ? { host: endpoint.address, port: endpoint.sshPort } : { sock }),
    username: endpoint.sshUser,
    ...credentials,
    agentForward: false,
    // The server may be that of a worker (own-sshd.ts); who it is its pinned key says.
    strictVendor: false,
    readyTimeout: options.timeoutMs,
    keepaliveInterval: KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVES_LOST,
    algorithms: { cipher: [...CIPHERS], ...hostKeyAlgorithms(pins) },
    hostVerifier: (key: Buffer) => {
      const accepted = pins.accepts(key);
      if (!accepted) failures.mismatch(key);
      return accepted;
    },
  });
  try {
    await within(ready, { signal });
  } catch (error) {
    client.destroy();
    sock?.destroy();
    throw error;
  }
  client.setNoDelay(true);
  askForNoDelay(client);
  return wireOver(client, way, route, failures, options.timeoutMs);
}

/**
 * sshd sets TCP_NODELAY on its end only when a session runs something (OpenSSH packet.c, ssh_packet_set_interactive); without
 * it every short answer waits up to 40 ms for an acknowledgement. Nothing depends on whether it is allowed.
 */
function askForNoDelay(client: Client): void {
  client.exec('true', (error, session) => {
    if (error) return;
    session.on('error', () => undefined);
    session.resume();
  });
}

function wireOver(client: Client, way: Way, { endpoint, peer }: Route, failures: Failures, ms: number): Wire {
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  let isOpen = true;
  void closed.then(() => (isOpen = false));
  return {
    way,
    open: (signal) => {
      if (!isOpen) return Promise.reject(failures.unreachable('the ssh connection was closed'));
      const opening = new Promise<Duplex>((resolve, reject) => {
        void closed.then(() => reject(failures.unreachable('the ssh connection was closed')));
        client.openssh_forwardOutStreamLocal(endpoint.receiveSocket, (error, channel) => {
          if (error) reject(failures.unreachable(`no worker of ${peer} listens there (${error.message})`));
          else resolve(channel);
        });
      });
      return within(opening, { ms, signal });
    },
    close: async () => {
      client.end();
      await within(closed, { ms: 1000 }).catch(() => client.destroy());
    },
  };
}

interface Failures {
  /** Remembers a refused key: it explains the end of the handshake. */
  mismatch(key: Buffer): void;
  unreachable(reason: string): CmtError;
  unauthorised(reason: string): CmtError;
  of(error: Error & { level?: string }): CmtError;
}

function failuresOf({ endpoint, peer }: Route, host: HostName): Failures {
  const where = { host, peer, address: `${endpoint.address}:${endpoint.sshPort}` };
  let refused: Buffer | null = null;
  const failures: Failures = {
    mismatch: (key) => (refused = key),
    unreachable: (reason) => new CmtError('PEER_UNREACHABLE', { ...where, reason }),
    unauthorised: (reason) => new CmtError('SSH_AUTH_FAILED', where, reason),
    of: (error) => {
      if (refused !== null)
        return new CmtError('HOST_KEY_MISMATCH', { ...where, fingerprint: fingerprint(refused) });
      const isAuth = error.level === 'client-authentication' || error.level === 'agent';
      return isAuth ? failures.unauthorised(error.message) : failures.unreachable(error.message);
    },
  };
  return failures;
}

function whenReady(client: Client, failures: Failures): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    client.once('ready', () => resolve());
    client.on('error', (error) => reject(failures.of(error)));
    client.once('close', () => reject(failures.of(new Error('the connection was closed'))));
  });
}

async function credentialsOf(options: SshOptions, failures: Failures): Promise<ConnectConfig> {
  if (options.sshKey !== undefined) {
    const privateKey = await readFile(options.sshKey).catch((error: unknown) => {
      throw failures.unauthorised((error as Error).message);
    });
    return { privateKey, authHandler: ['publickey'] };
  }
  if (options.agent !== undefined) return { agent: options.agent, authHandler: ['agent'] };
  if (options.relay !== undefined) return { authHandler: ['none'] };
  throw failures.unauthorised('there is neither a key file nor an ssh-agent');
}

/** Asks for a key of a pinned type: a server with several would else show one that nobody has pinned. */
function hostKeyAlgorithms(pins: Pins): { serverHostKey?: ServerHostKeyAlgorithm[] } {
  const serverHostKey = [...pins.types].flatMap((type) => SIGNATURES[type] ?? []);
  return serverHostKey.length === 0 ? {} : { serverHostKey };
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  });
}
