/* resolver.c - a library that allocates while the loader asks it which function
 * to use. The loader relocates libraries one after another, and this one comes
 * before libsteady_malloc.so: it depends on libc only and stands behind it in
 * the list, which the loader goes through backwards. */
#include <stdlib.h>
#include <string.h>

static char *kept, *moved;

/* Functions, since a program's copy of our data would be made after the resolver ran. */
char* early_kept(void) {
    return kept;
}
char* early_moved(void) {
    return moved;
}

static int chosen(void) {
    return 42;
}

__attribute__((used)) static int (*resolve(void))(void) { /* clang does not see its use below */
    void* volatile gone = malloc(100);
    free(gone);
    kept = calloc(10, 10);
    for (int i = 0; i < 100; ++i) kept[i] = (char)(kept[i] + i);
    moved = malloc(50);
    for (int i = 0; i < 50; ++i) moved[i] = (char)i;
    moved = realloc(moved, 3000);
    return chosen;
}

int answer(void) __attribute__((ifunc("resolve")));
