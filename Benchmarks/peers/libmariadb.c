// libmariadb's side of Benchmarks/run; see Sources/driver/Main.swift for arguments and output.
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static unsigned port;
static int tls;

static void fail(MYSQL *my) {
    fprintf(stderr, "libmariadb: %s\n", mysql_error(my));
    exit(1);
}

static MYSQL *connect_to_server(void) {
    MYSQL *my = mysql_init(NULL);
    my_bool on = 1, off = 0;
    unsigned limit = 5;
    mysql_options(my, MYSQL_OPT_CONNECT_TIMEOUT, &limit);
    mysql_options(my, MYSQL_OPT_READ_TIMEOUT, &(unsigned){60});
    mysql_options(my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off);
    if (tls) mysql_options(my, MYSQL_OPT_SSL_ENFORCE, &on);
    if (!mysql_real_connect(my, "127.0.0.1", "watchdog", "watchdog-secret", NULL, port, NULL, 0)) fail(my);
    if (tls && !mysql_get_ssl_cipher(my)) {
        fputs("libmariadb: the connection is not encrypted\n", stderr);
        exit(1);
    }
    return my;
}

static void query(MYSQL *my) {
    if (mysql_query(my, "SELECT 1")) fail(my);
    MYSQL_RES *result = mysql_store_result(my);
    if (!result || !mysql_fetch_row(result)) fail(my);
    mysql_free_result(result);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 4) return 64;
    const char *what = argv[1];
    port = (unsigned)atoi(argv[2]);
    int count = atoi(argv[3]);
    tls = !strcmp(what, "cold-tls");
    mysql_library_init(0, NULL, NULL);
    if (!strcmp(what, "rows")) {
        MYSQL *my = connect_to_server();
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT * FROM bench.t LIMIT %d", count);
        double began = now(), used = cpu();
        if (mysql_query(my, sql)) fail(my);
        MYSQL_RES *result = mysql_use_result(my);
        if (!result) fail(my);
        unsigned columns = mysql_num_fields(result);
        unsigned long rows = 0, bytes = 0;
        while (mysql_fetch_row(result)) {
            unsigned long *lengths = mysql_fetch_lengths(result);
            rows++;
            for (unsigned i = 0; i < columns; i++) bytes += lengths[i];
        }
        if (mysql_errno(my)) fail(my);
        printf("%f %f %lu %lu\n", cpu() - used, (now() - began) / 1e3, rows, bytes);
        mysql_free_result(result);
        mysql_close(my);
        return 0;
    }
    double *times = calloc((size_t)count, sizeof *times);
    MYSQL *kept = strcmp(what, "warm") ? NULL : connect_to_server();
    for (int i = -(count / 10 + 1); i < count; i++) {
        double began = now();
        MYSQL *my = kept ? kept : connect_to_server();
        query(my);
        if (!kept) mysql_close(my);
        if (i >= 0) times[i] = now() - began;
    }
    qsort(times, (size_t)count, sizeof *times, ascending);
    printf("%f\n", times[count / 2]);
    if (kept) mysql_close(kept);
    free(times);
    mysql_library_end();
    return 0;
}
