/** Names of images, as both ends check them. */
import { z } from 'zod';

/** Directory of images: a round (`1`, `2`, …) or `final`. */
export const ImagesName = z.string().regex(/^([1-9][0-9]?|final)$/);
/** What has a connection of its own: a directory of images, or the pages that follow a container. */
export const CarriageName = z.union([ImagesName, z.literal('pages')]);
/** A plain image file name: no separator, no leading dot. */
export const ImageFileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);

const PAGES = /^pages-(\d+)\.img$/;
/** CRIU writes the page files of a tree one after another: only the newest few can have grown. */
const FOLLOWED = 4;

/** Of the names in a directory, those of files that CRIU may still be writing; they only ever grow. */
export const growing = (names: readonly string[]): string[] =>
  names
    .filter((name) => PAGES.test(name))
    .sort((a, b) => pageNumber(a) - pageNumber(b))
    .slice(-FOLLOWED);

const pageNumber = (name: string): number => Number(PAGES.exec(name)?.[1] ?? 0);

/** The round that the target of CRIU's `parent` link names: always a sibling directory. Null for anything else. */
export function parentRound(target: string): string | null {
  const name = ImagesName.safeParse(target.replace(/^\.\.\//, '').replace(/\/$/, ''));
  return name.success && target.startsWith('../') ? name.data : null;
}
