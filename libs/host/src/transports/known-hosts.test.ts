import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fingerprint, pinsOf } from './known-hosts.ts';

/** A public key blob as OpenSSH encodes it: its type, then something. */
function keyOf(type: string): { line: string; blob: Buffer } {
  const name = Buffer.from(type);
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, randomBytes(36)]);
  return { line: `${type} ${blob.toString('base64')}`, blob };
}

const KEY = keyOf('ssh-ed25519');
const OTHER = keyOf('ssh-rsa');
const accepts = (knownHosts: string, address = 'alpha', port = 22, registry: string[] = []): boolean =>
  pinsOf(address, port, registry, knownHosts).accepts(KEY.blob);

function hashed(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

describe('pins of a host', () => {
  it('come from the registry', () => {
    const pins = pinsOf('alpha', 22, [`${KEY.line} comment`], '');
    expect(pins.accepts(KEY.blob)).toBe(true);
    expect(pins.accepts(OTHER.blob)).toBe(false);
    expect([...pins.types]).toEqual(['ssh-ed25519']);
  });

  it.each([
    ['a plain name', `alpha ${KEY.line}`],
    ['one of several', `beta,ALPHA,10.0.0.1 ${KEY.line} root@alpha`],
    ['a wildcard', `al?h* ${KEY.line}`],
    ['a hashed name', `${hashed('alpha')} ${KEY.line}`],
    ['a line among others', `# comment\n\nbeta ${OTHER.line}\n  alpha ${KEY.line}\r\n`],
  ])('come from known_hosts: %s', (_what, file) => {
    expect(accepts(file)).toBe(true);
  });

  it.each([
    ['another host', `beta ${KEY.line}`],
    ['a name that only begins the same', `alphabet ${KEY.line}`],
    ['a dot that is no wildcard', `a.pha ${KEY.line}`],
    ['a negated name', `al*,!alpha ${KEY.line}`],
    ['a comment', `# alpha ${KEY.line}`],
    ['a certificate authority', `@cert-authority alpha ${KEY.line}`],
    ['a revoked key', `@revoked alpha ${KEY.line}`],
    ['another host, hashed', `${hashed('beta')} ${KEY.line}`],
    ['a type that is not the key’s', `alpha ssh-rsa ${KEY.line.split(' ')[1] ?? ''}`],
    ['the name with another port', `[alpha]:2222 ${KEY.line}`],
  ])('do not come from known_hosts: %s', (_what, file) => {
    expect(accepts(file)).toBe(false);
  });

  it('with a port that is not 22 are named with it', () => {
    expect(accepts(`[alpha]:2222 ${KEY.line}`, 'alpha', 2222)).toBe(true);
    expect(accepts(`${hashed('[alpha]:2222')} ${KEY.line}`, 'alpha', 2222)).toBe(true);
    expect(accepts(`alpha ${KEY.line}`, 'alpha', 2222)).toBe(false);
  });

  it('lose what known_hosts revokes, whatever the registry says', () => {
    expect(accepts('', 'alpha', 22, [KEY.line])).toBe(true);
    expect(accepts(`@revoked * ${KEY.line}`, 'alpha', 22, [KEY.line])).toBe(false);
  });

  it('are shown as OpenSSH shows them', () => {
    expect(fingerprint(Buffer.from('key'))).toBe('SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM');
  });
});
