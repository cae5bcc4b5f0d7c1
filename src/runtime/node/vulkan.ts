/** Why Dawn finds no adapter on this machine, and what to install. Node only. */

// Not imported: bundlers for the browser would look for these modules.
const { existsSync, readdirSync } = process.getBuiltinModule('node:fs');

export function missingDriver(): string {
  if (process.platform !== 'linux') return 'the system gives no GPU to WebGPU';
  const forced = process.env['VK_DRIVER_FILES'] ?? process.env['VK_ICD_FILENAMES'];
  if (!hasLoader()) return 'the Vulkan loader libvulkan.so.1 is missing (Debian, Ubuntu: apt-get install libvulkan1)';
  const software = 'or mesa-vulkan-drivers 23 or later for one in software';
  if (forced !== undefined) return `VK_DRIVER_FILES names no driver that works (${forced}); ${software}`;
  return `there is a Vulkan loader, but no driver that Dawn accepts: install your GPU's, ${software}`;
}

function hasLoader(): boolean {
  const extra = (process.env['LD_LIBRARY_PATH'] ?? '').split(':').filter((d) => d !== '');
  const roots = ['/lib', '/usr/lib', '/lib64', '/usr/lib64', '/usr/local/lib'];
  const multiarch = roots.slice(0, 2).flatMap((r) => folders(r).map((d) => `${r}/${d}`));
  return [...extra, ...roots, ...multiarch].some((d) => existsSync(`${d}/libvulkan.so.1`));
}

const folders = (path: string): string[] => {
  try {
    return readdirSync(path).filter((d) => d.endsWith('-linux-gnu'));
  } catch {
    return [];
  }
};
