/** Host keys: which of them a host may show, from the fleet's registry and from known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
import { createHash, createHmac } from 'node:crypto';

/** Keys are compared as the bytes of the key blob, base64. */
export interface Pins {
  /** Types (`ssh-ed25519`, …) of which a key is pinned. */
  readonly types: ReadonlySet<string>;
  /** Whether a host may show this key. */
  accepts(key: Buffer): boolean;
}

interface KnownKey {
  readonly type: string;
  readonly blob: string;
  readonly revoked: boolean;
}

/**
 * The pins of one host. A key that known_hosts revokes is refused whatever the registry says; certificate authorities are not pins.
 * @param registry lines like `ssh-ed25519 AAAA…`
 * @param knownHosts content of a known_hosts file
 */
export function pinsOf(address: string, port: number, registry: readonly string[], knownHosts: string): Pins {
  const names = port === 22 ? [address.toLowerCase()] : [`[${address.toLowerCase()}]:${port}`];
  const known = knownHosts.split('\n').flatMap((line) => keysOn(line, names));
  const all = [...registry.flatMap((line) => keyIn(line.split(/\s+/), false)), ...known];
  const revoked = new Set(all.filter((key) => key.revoked).map((key) => key.blob));
  const valid = all.filter((key) => !revoked.has(key.blob));
  const blobs = new Set(valid.map((key) => key.blob));
  return {
    types: new Set(valid.map((key) => key.type)),
    accepts: (key) => blobs.has(key.toString('base64')),
  };
}

/** As OpenSSH prints it: `SHA256:…`. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function keysOn(line: string, names: readonly string[]): KnownKey[] {
  const fields = line.trim().split(/\s+/);
  if (line.trim().startsWith('#')) return [];
  const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined;
  const [hosts, ...key] = fields;
  if (hosts === undefined || (marker !== undefined && marker !== '@revoked')) return [];
  return names.some((name) => matches(hosts, name)) ? keyIn(key, marker === '@revoked') : [];
}

function keyIn([type, blob]: readonly string[], revoked: boolean): KnownKey[] {
  if (type === undefined || blob === undefined) return [];
  const bytes = Buffer.from(blob, 'base64');
  // The blob begins with its own type; a line whose two types differ is damaged.
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  if (bytes.toString('latin1', 4, 4 + length) !== type) return [];
  return [{ type, blob: bytes.toString('base64'), revoked }];
}

function matches(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return hashMatches(hosts, name);
  const patterns = hosts.toLowerCase().split(',');
  const hit = (pattern: string) => wildcard(pattern).test(name);
  const negated = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  return !negated.some(hit) && patterns.some((pattern) => !pattern.startsWith('!') && hit(pattern));
}

/** `|1|salt|hash`: HMAC-SHA1 of the name under the salt. */
function hashMatches(hosts: string, name: string): boolean {
  const [, magic, salt, hash] = hosts.split('|');
  if (magic !== '1' || salt === undefined || hash === undefined) return false;
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
