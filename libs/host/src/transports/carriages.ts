/** Target: connections that carriers are to take over, between their arrival and the images that wait for them. */
import type { Socket } from 'node:net';

/** Who waits for the connection of which images. */
export class Carriages {
  readonly #waiting = new Map<string, (socket: Socket) => void>();

  /** The next connection for images of this name. */
  expect(name: string): Promise<Socket> {
    return new Promise((resolve) => this.#waiting.set(name, resolve));
  }

  isExpected(name: string): boolean {
    return this.#waiting.has(name);
  }

  /** Nobody waits for it any more. */
  forget(name: string): void {
    this.#waiting.delete(name);
  }

  arrived(name: string, socket: Socket): void {
    const take = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (take === undefined) socket.destroy();
    else take(socket);
  }
}
