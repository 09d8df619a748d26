/** The board's time, as far as this browser can tell: its own clock may be off. */
let offset = 0;

/** Takes over what time it was there when this was sent (milliseconds since 1970). */
export const hear = (at: number): void => {
  offset = at - Date.now();
};

export const boardNow = (): number => Date.now() + offset;
