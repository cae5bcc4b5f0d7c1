export const load = 0; export const save = 0;
