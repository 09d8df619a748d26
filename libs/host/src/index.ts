export * from './context.ts';
export * from './journal.ts';
export * from './network/network.ts';
export * from './process.ts';
export * from './runtimes/runtime.ts';
export * from './steps/step.ts';
export * from './transports/receiver.ts';
export * from './transports/transport.ts';
