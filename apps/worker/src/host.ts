/** This host's hands, opened in order: identity, journal, runtimes, network, links, receiver. */
import { join } from 'node:path';
import type { WorkerConfig } from '@cmt/contracts';
import {
  createLinks,
  createNetwork,
  createReceiver,
  createRuntimes,
  forgetDrafts,
  hostEndpoint,
  journalDir,
  loadIdentity,
  loadOwnHostKey,
  openJournal,
  thisMachine,
  type FileJournal,
  type ReceiverOptions,
  type StepContext,
} from '@cmt/host';

/** The parts of a step's context that are the host's and not the leg's. */
export type HostParts = Pick<
  StepContext,
  'config' | 'endpoint' | 'machine' | 'journal' | 'runtimes' | 'network' | 'links' | 'receiver'
>;

export interface Host extends HostParts {
  readonly journal: FileJournal;
  close(): Promise<void>;
}

/** Opens everything; refuses when another worker of this host lives, because it listens on the same socket. */
export async function openHost(config: WorkerConfig): Promise<Host> {
  const identity = await loadIdentity(config.stateDir);
  const journal = await openJournal({ directory: journalDir(config), host: config.name });
  const endpoint = await hostEndpoint(config, identity);
  const receiver = createReceiver({
    host: config.name,
    identity,
    socket: endpoint.receiveSocket,
    address: config.address,
    port: config.receivePort,
    own: await ownDoors(config),
  });
  await receiver.listen();
  await forgetDrafts(config);
  const { sshKey, knownHosts, agentless } = config;
  const relay = agentless && join(agentless.sockets, 'relay.sock');
  const agent = process.env.SSH_AUTH_SOCK;
  const links = createLinks({ host: config.name, identity, sshKey, agent, knownHosts, relay });
  return {
    config,
    endpoint,
    machine: thisMachine,
    journal,
    runtimes: createRuntimes({ host: config.name }),
    network: createNetwork(config.name),
    links,
    receiver,
    close: async () => {
      await links.closeAll();
      await receiver.close();
    },
  };
}

/** A worker that was started over ssh finds no sshd that lets other hosts in: it is one itself. */
async function ownDoors({ agentless, stateDir }: WorkerConfig): Promise<ReceiverOptions['own']> {
  if (agentless === undefined) return undefined;
  const { uid, gid, sockets } = agentless;
  const { private: hostKey } = await loadOwnHostKey(stateDir);
  return { uid, gid, hostKey, socket: join(sockets, 'receive.sock') };
}
