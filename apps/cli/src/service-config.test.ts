import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { ownAddress } from './service-config.ts';

const at = (address: string, more: Partial<NetworkInterfaceInfo> = {}) =>
  ({ address, family: 'IPv4', internal: false, ...more }) as NetworkInterfaceInfo;

describe('ownAddress', () => {
  it('is the first that others could reach', () => {
    const lo = [at('127.0.0.1', { internal: true })];
    const eth0 = [at('fe80::1', { family: 'IPv6' }), at('10.0.0.7'), at('10.0.0.8')];
    expect(ownAddress({ lo, eth0 })).toBe('10.0.0.7');
    expect(ownAddress({ lo })).toBeUndefined();
  });
});
