"""What may be written where: promise types, bodies, and their attributes with type and range.

Tables of text, one row an attribute: its name, its type, the range of its literal values, and what
else is to be said: `since=3.26`, `deprecated`, `removed` (still accepted, without effect).

A type is str, int, real, slist, ilist, rlist, irange ("1,5"), data, context (a class expression),
clist (a list of those), bool, option (one of some words), olist (a list of those), mode ("644",
"u+x"), modes (a list of those), body (the body of the type that the attribute is called), or bundle
(a bundle of the type in the range).

A range is a regular expression that the whole text matches, for numbers LOW..HIGH, for options the
words; one in capitals is a name in RANGES, `-` is none. Compile side only: nothing that runs from
the cache imports this.
"""

from __future__ import annotations

from typing import NamedTuple


class Attribute(NamedTuple):
    """One row: `mode` is of type `mode`; STATUS is normal, deprecated or removed."""

    name: str
    type: str
    range: str = ""
    since: str = ""
    status: str = "normal"


BOOL = "true|false|yes|no|on|off"

# fmt: off
RANGES = {
    "ID": r"[a-zA-Z0-9_$(){}\[\].:]+",
    "CONTEXT": r"[a-zA-Z0-9_!&@$|.()\[\]{}:]+",
    "PATH": r'"?(/.*)',
    "USER": r"[a-zA-Z0-9_$.-]+",
    "ADDRESS": r"[A-Za-z0-9_.:\[\]-]+",
    "CODE": r"[-0-9_$(){}\[\].]+",
    "ACE": r"((user|group):[^:]+:[-=+,rwx()dtTabBpcoD]*(:(allow|deny))?)"
           r"|((all|mask):[-=+,rwx()]*(:(allow|deny))?)",
    "LOG": r'stdout|udp_syslog|("?[a-zA-Z]:\\.*)|(/.*)',
    "SIGNAL": r"(?i:hup|int|trap|kill|pipe|cont|abrt|stop|quit|term|child|usr1|usr2|bus|segv)"
              r"|[0-9]+s?",
    "BSDFLAG": r"[-+]*[(|)a-y]+",
    # the reference wanted to say "these words with operators between", and says this
    "FILES": r"[!*(|)a-z_\[&.]*\]*",
    "PROCESSES": r"[(|)a-z_\[&!.]*\]*",
    "CHANGE": "content|add|remove|owner|group|perms|device|mtime|inode|stats|all",
    "FACILITY": "LOG_USER|LOG_DAEMON|LOG_LOCAL0|LOG_LOCAL1|LOG_LOCAL2|LOG_LOCAL3|LOG_LOCAL4|"
                "LOG_LOCAL5|LOG_LOCAL6|LOG_LOCAL7",
    "PROTOCOL": "1|classic|2|tls|3|cookie|4|filestream|5|leech2|latest",
    "LINK": "symlink|hardlink|relative|absolute",
    "MACHINE": "xen|kvm|esx|vbox|test|xen_net|kvm_net|esx_net|test_net|zone|ec2|eucalyptus",
    "CHAIN": "ignore|start_parent_services|stop_child_services|all_related",
    "INSERTION": "literal|string|file|file_preserve_block|preserve_block|preserve_all_lines",
}

# which promise types a bundle may have, besides those that every bundle may
EVERYWHERE = ("vars", "classes", "defaults", "meta", "reports")
BUNDLES = {
    "agent": (
        "commands", "databases", "files", "guest_environments", "methods", "packages",
        "processes", "services", "storage", "users",
    ),
    "common": (),
    "server": ("access", "roles"),
    "monitor": ("measurements",),
    "watch": ("events",),
    "edit_line": ("delete_lines", "insert_lines", "field_edits", "replace_patterns"),
    "edit_xml": (
        "build_xpath", "delete_tree", "insert_tree", "delete_attribute", "set_attribute",
        "delete_text", "set_text", "insert_text",
    ),
    "executor": (), "runagent": (), "keygenerator": (), "hub": (), "knowledge": (),
}

# promise type: the only bundle type that had it
REMOVED_PROMISES = {
    "outputs": "agent", "inferences": "knowledge", "occurrences": "knowledge",
    "things": "knowledge", "topics": "knowledge",
}
REMOVED_BODIES = frozenset(("association", "knowledge", "reporter"))

# of these there is one a file, named `control`
CONTROLS = (
    "agent", "common", "executor", "file", "hub", "monitor", "runagent", "server",
)

# in every promise
GLOBAL = """
        action     body
        classes    body
        comment    str
        depends_on slist
        handle     str
        if         str
        ifvarclass str
        meta       slist
        unless     str
        with       str
        """

# in every body
EVERY_BODY = """
        inherit_from body
        meta         slist
        """

PROMISES = {
    "access": """
        admit              slist
        admit_hostnames    slist
        admit_ips          slist
        admit_keys         slist
        deny               slist
        deny_hostnames     slist
        deny_ips           slist
        deny_keys          slist
        ifencrypted        bool
        maproot            slist
        report_data_select body
        resource_type      option  path|literal|context|query|variable|bundle
        shortcut           str
        """,
    "build_xpath": """
        build_xpath  str
        select_xpath str
        """,
    "classes": """
        and          clist   CONTEXT
        cancel       bool    - since=3.28
        dist         rlist
        expression   context CONTEXT
        not          context CONTEXT
        or           clist   CONTEXT
        persistence  int     0..inf
        scope        option  namespace|bundle
        select_class clist   CONTEXT
        timer_policy option  absolute|reset
        xor          clist   CONTEXT
        """,
    "commands": """
        arglist slist
        args    str
        contain body
        inform  bool
        module  bool
        """,
    "databases": """
        database_columns   slist
        database_operation option  create|delete|drop|cache|verify|restore
        database_rows      slist   .*,.*
        database_server    body
        database_type      option  sql|ms_registry
        registry_exclude   slist
        """,
    "defaults": """
        if_match_regex str
        slist          slist
        string         str
        """,
    "delete_attribute": """
        build_xpath  str
        select_xpath str
        """,
    "delete_lines": """
        delete_select body
        not_matching  bool
        select_region body
        """,
    "delete_text": """
        build_xpath  str
        select_xpath str
        """,
    "delete_tree": """
        build_xpath  str
        select_xpath str
        """,
    "events": """
        then bundle  agent
        when body
        """,
    "field_edits": """
        edit_field    body
        select_region body
        """,
    "files": """
        acl                  body
        changes              body
        content              str
        copy_from            body
        create               bool
        delete               body
        depth_search         body
        edit_defaults        body
        edit_line            bundle  edit_line
        edit_template        str     PATH
        edit_template_string str
        edit_xml             bundle  edit_xml
        file_select          body
        file_type            option  regular|fifo
        fsattrs              body    - since=3.26
        link_from            body
        move_obstructions    bool
        pathtype             option  literal|regex|guess
        perms                body
        rename               body
        repository           str     PATH
        template_data        data
        template_method      option  cfengine|inline_mustache|mustache
        touch                bool
        transformer          str     PATH
        """,
    "guest_environments": """
        environment_host      str     [a-zA-Z0-9_]+
        environment_interface body
        environment_resources body
        environment_state     option  create|delete|running|suspended|down
        environment_type      option  MACHINE
        """,
    "insert_lines": """
        expand_scalars    bool
        insert_select     body
        insert_type       option  INSERTION
        location          body
        select_region     body
        whitespace_policy olist   ignore_leading|ignore_trailing|ignore_embedded|exact_match
        """,
    "insert_text": """
        build_xpath  str
        select_xpath str
        """,
    "insert_tree": """
        build_xpath  str
        select_xpath str
        """,
    "measurements": """
        data_type    option  counter|int|real|string|slist
        history_type option  weekly|scalar|static|log
        match_value  body
        stream_type  option  pipe|file
        units        str
        """,
    "meta": """
        data   data
        slist  slist
        string str
        """,
    "methods": """
        inherit   bool
        usebundle bundle  agent
        useresult str     ID
        """,
    "packages": """
        additional_packages   slist
        architecture          str
        options               slist
        package_architectures slist
        package_method        body
        package_module        body
        package_policy        option  add|delete|reinstall|update|addupdate|patch|verify
        package_select        option  >|<|==|!=|>=|<=
        package_version       str
        policy                option  absent|present
        version               str
        """,
    "processes": """
        process_count  body
        process_select body
        process_stop   str     PATH
        restart_class  str     ID
        signals        slist   SIGNAL
        """,
    "replace_patterns": """
        allow_non_convergent bool
        replace_with         body
        select_region        body
        """,
    "reports": """
        bundle_return_value_index str     ID
        friend_pattern            str
        intermittency             real    0..1
        lastseen                  int     0..inf
        printfile                 body
        report_to_file            str     PATH
        showstate                 slist
        """,
    "roles": """
        authorize slist
        """,
    "services": """
        service_dependencies slist   ID
        service_method       body
        service_policy       str
        """,
    "set_attribute": """
        attribute_value str
        build_xpath     str
        select_xpath    str
        """,
    "set_text": """
        build_xpath  str
        select_xpath str
        """,
    "storage": """
        mount  body
        volume body
        """,
    "users": """
        description         str
        group_primary       str
        groups_secondary    slist
        home_bundle         bundle  agent
        home_bundle_inherit bool
        home_dir            str     PATH
        password            body
        policy              option  present|absent|locked
        shell               str     PATH
        uid                 int
        """,
    "vars": """
        data   data
        ilist  ilist
        int    int
        policy option  free|overridable|constant|ifdefined
        real   real
        rlist  rlist
        slist  slist
        string str
        """,
}

BODIES = {
    "acl": """
        aces                  slist   ACE
        acl_default           option  nochange|access|specify|clear
        acl_directory_inherit option  nochange|parent|specify|clear deprecated
        acl_inherit           option  true|false|yes|no|on|off|nochange
        acl_method            option  append|overwrite
        acl_type              option  generic|posix|ntfs
        specify_default_aces  slist   ACE
        specify_inherit_aces  slist   ACE deprecated
        """,
    "action": """
        action_policy     option  fix|warn|nop
        audit             bool
        background        bool
        expireafter       int     0..inf
        ifelapsed         int     0..inf
        log_failed        str     LOG
        log_kept          str     LOG
        log_level         option  inform|verbose|error|log
        log_priority      option  emergency|alert|critical|error|warning|notice|info|debug
        log_repaired      str     LOG
        log_string        str
        measurement_class str
        report_level      option  inform|verbose|error|log
        signals           option  each|once|level
        value_kept        real    - removed
        value_notkept     real    - removed
        value_repaired    real    - removed
        """,
    "changes": """
        hash           option  md5|sha1|sha224|sha256|sha384|sha512|best
        report_changes option  all|stats|content|none
        report_diffs   bool
        silence        slist   CHANGE since=3.28
        update_hashes  bool
        """,
    "classes": """
        cancel_kept          slist   ID
        cancel_notkept       slist   ID
        cancel_repaired      slist   ID
        failed_returncodes   slist   CODE
        kept_returncodes     slist   CODE
        persist_time         int     0..inf
        promise_kept         slist   ID
        promise_repaired     slist   ID
        repair_denied        slist   ID
        repair_failed        slist   ID
        repair_timeout       slist   ID
        repaired_returncodes slist   CODE
        scope                option  namespace|bundle
        timer_policy         option  absolute|reset
        """,
    "contain": """
        chdir        str     PATH
        chroot       str     PATH
        exec_group   str
        exec_owner   str
        exec_timeout int     1..3600
        no_output    bool
        preview      bool
        umask        str
        useshell     option  noshell|useshell|powershell|true|false|yes|no|on|off
        """,
    "copy_from": """
        check_root               bool
        collapse_destination_dir bool
        compare                  option  atime|mtime|ctime|digest|hash|exists|binary
        copy_backup              option  true|false|timestamp
        copy_size                irange  0..inf
        copylink_patterns        slist
        encrypt                  bool
        findertype               option  MacOSX
        force_ipv4               bool
        force_update             bool
        link_type                option  LINK
        linkcopy_patterns        slist
        missing_ok               bool
        portnumber               str
        preserve                 bool
        protocol_version         option  PROTOCOL
        purge                    bool
        servers                  slist   ADDRESS
        source                   str     .+
        stealth                  bool
        timeout                  int     1..3600
        trustkey                 bool
        type_check               bool
        verify                   bool
        """,
    "database_server": """
        db_server_connection_db str
        db_server_host          str
        db_server_owner         str
        db_server_password      str
        db_server_type          option  postgres|mysql
        """,
    "delete": """
        dirlinks option  delete|tidy|keep
        rmdirs   bool
        """,
    "delete_select": """
        delete_if_contains_from_list      slist
        delete_if_match_from_list         slist
        delete_if_not_contains_from_list  slist
        delete_if_not_match_from_list     slist
        delete_if_not_startwith_from_list slist
        delete_if_startwith_from_list     slist
        """,
    "depth_search": """
        depth           int     0..inf
        exclude_dirs    slist
        include_basedir bool
        include_dirs    slist
        rmdeadlinks     bool
        traverse_links  bool
        xdev            bool
        """,
    "edit_defaults": """
        edit_backup               option  true|false|timestamp|rotate
        empty_file_before_editing bool
        inherit                   bool
        max_file_size             int     0..inf
        recognize_join            bool
        rotate                    int     0..99
        """,
    "edit_field": """
        allow_blank_fields     bool
        extend_fields          bool
        field_operation        option  prepend|append|alphanum|delete|set
        field_separator        str
        field_value            str
        select_field           int     0..99999999
        start_fields_from_zero bool
        value_separator        str     ^.$
        """,
    "environment_interface": """
        env_addresses slist
        env_name      str
        env_network   str
        """,
    "environment_resources": """
        env_baseline str     PATH
        env_cpus     int     0..inf
        env_disk     int     0..inf
        env_memory   int     0..inf
        env_spec     str
        """,
    "file_select": """
        atime           irange  0..inf
        ctime           irange  0..inf
        exec_program    str     PATH
        exec_regex      str
        file_result     str     FILES
        file_types      olist   plain|reg|symlink|dir|socket|fifo|door|char|block
        issymlinkto     slist
        leaf_name       slist
        mtime           irange  0..inf
        path_name       slist   PATH
        search_bsdflags slist   BSDFLAG
        search_groups   slist
        search_mode     modes
        search_owners   slist
        search_size     irange  0..inf
        """,
    "fsattrs": """
        immutable bool    - since=3.26
        """,
    "insert_select": """
        insert_if_contains_from_list      slist
        insert_if_match_from_list         slist
        insert_if_not_contains_from_list  slist
        insert_if_not_match_from_list     slist
        insert_if_not_startwith_from_list slist
        insert_if_startwith_from_list     slist
        """,
    "link_from": """
        copy_patterns         slist
        link_children         bool
        link_type             option  LINK
        source                str     .+
        when_linking_children option  override_file|if_no_such_file
        when_no_source        option  force|delete|nop
        """,
    "location": """
        before_after         option  before|after
        first_last           option  first|last
        select_line_matching str
        """,
    "match_value": """
        extraction_regex        str
        select_line_matching    str
        select_line_number      int     0..inf
        select_multiline_policy option  average|sum|first|last
        track_growing_file      bool
        """,
    "mount": """
        edit_fstab      bool
        mount_options   slist
        mount_server    str
        mount_source    str     PATH
        mount_type      option  nfs|nfs2|nfs3|nfs4|panfs|cifs
        remount         bool
        remount_methods olist   remount|unmount_mount
        remount_timeout int     0..inf
        unmount         bool
        """,
    "package_method": """
        package_add_command           str     .+
        package_arch_regex            str
        package_changes               option  individual|bulk
        package_commands_useshell     bool
        package_default_arch_command  str     PATH
        package_delete_command        str     .+
        package_delete_convention     str
        package_file_repositories     slist
        package_installed_regex       str
        package_list_arch_regex       str
        package_list_command          str     .+
        package_list_name_regex       str
        package_list_update_command   str
        package_list_update_ifelapsed int
        package_list_version_regex    str
        package_multiline_start       str
        package_name_convention       str
        package_name_regex            str
        package_noverify_regex        str
        package_noverify_returncode   int
        package_patch_arch_regex      str
        package_patch_command         str     .+
        package_patch_installed_regex str
        package_patch_list_command    str     .+
        package_patch_name_regex      str
        package_patch_version_regex   str
        package_update_command        str     .+
        package_verify_command        str     .+
        package_version_equal_command str     .+
        package_version_less_command  str     .+
        package_version_regex         str
        """,
    "package_module": """
        default_options           slist
        interpreter               str
        module_path               str
        query_installed_ifelapsed int
        query_updates_ifelapsed   int
        """,
    "password": """
        data   str
        format option  plaintext|hash
        """,
    "perms": """
        bsdflags slist   BSDFLAG
        groups   slist   USER
        mode     mode
        owners   slist   USER
        rxdirs   bool
        """,
    "printfile": """
        file_to_print   str     PATH
        number_of_lines int
        """,
    "process_count": """
        in_range_define     slist
        match_range         irange  0..inf
        out_of_range_define slist
        """,
    "process_select": """
        command        str
        pgid           irange  0..inf
        pid            irange  0..inf
        ppid           irange  0..inf
        priority       irange  -20..+20
        process_owner  slist
        process_result str     PROCESSES
        rsize          irange  0..inf
        status         str
        stime_range    irange  0..inf
        threads        irange  0..inf
        ttime_range    irange  0..inf
        tty            str
        vsize          irange  0..inf
        """,
    "rename": """
        disable        bool
        disable_mode   mode
        disable_suffix str
        newname        str
        rotate         int     0..99
        """,
    "replace_with": """
        occurrences   option  all|first
        replace_value str
        """,
    "report_data_select": """
        classes_exclude              slist   - removed
        classes_include              slist   - removed
        metatags_exclude             slist
        metatags_include             slist
        monitoring_exclude           slist
        monitoring_include           slist
        promise_handle_exclude       slist
        promise_handle_include       slist
        promise_notkept_log_exclude  slist   - removed
        promise_notkept_log_include  slist   - removed
        promise_repaired_log_exclude slist   - removed
        promise_repaired_log_include slist   - removed
        variables_exclude            slist   - removed
        variables_include            slist   - removed
        """,
    "select_region": """
        include_end_delimiter   bool
        include_start_delimiter bool
        select_end              str
        select_end_match_eof    bool
        select_start            str
        """,
    "service_method": """
        service_args             str
        service_autostart_policy option  none|boot_time|on_demand
        service_bundle           bundle  agent
        service_dependence_chain option  CHAIN
        service_type             option  windows|generic
        """,
    "volume": """
        check_foreign  bool
        freespace      str     [0-9]+[MBkKgGmb%]
        scan_arrivals  bool
        sensible_count int     0..inf
        sensible_size  int     0..inf
        """,
    "when": """
        files_deleted slist
        """,
}

# `body TYPE control`
CONTROL_BODIES = {
    "agent": """
        abortbundleclasses            slist
        abortclasses                  slist
        addclasses                    slist
        agentaccess                   slist
        agentfacility                 option  FACILITY
        allclassesreport              bool
        alwaysvalidate                bool
        auditing                      bool    - removed
        binarypaddingchar             str     - removed
        bindtointerface               str
        checksum_alert_time           int     0..60
        childlibpath                  str
        copyfrom_restrict_keys        slist
        default_directory_create_mode mode    - since=3.27
        default_repository            str     PATH
        default_timeout               int     0..inf
        defaultcopytype               option  mtime|atime|ctime|digest|hash|binary
        dryrun                        bool
        editbinaryfilesize            int     0..inf
        editfilesize                  int     0..inf
        environment                   slist   [A-Za-z0-9_]+=.*
        evaluation_order              str     (classic|top_down) since=3.27
        exclamation                   bool    - removed
        expireafter                   int     0..inf
        files_auto_define             slist
        files_single_copy             slist
        hashupdates                   bool
        hostnamekeys                  bool
        ifelapsed                     int     0..inf
        inform                        bool
        intermittency                 bool
        max_children                  int     0..inf
        maxconnections                int     0..inf
        mountfilesystems              bool
        nonalphanumfiles              bool
        refresh_processes             slist   ID
        repchar                       str     .
        report_class_log              bool
        secureinput                   bool
        select_end_match_eof          bool
        sensiblecount                 int     0..inf
        sensiblesize                  int     0..inf
        skipidentify                  bool
        suspiciousnames               slist
        syslog                        bool    - removed
        timezone                      slist
        track_value                   bool    - removed
        verbose                       bool
        """,
    "common": """
        bundlesequence         slist
        bwlimit                real    0..inf
        cache_system_functions bool
        domain                 str
        evaluation_order       str     (classic|top_down) since=3.27
        fips_mode              bool
        goal_patterns          slist
        host_licenses_paid     int     0..inf removed
        ignore_missing_bundles bool
        ignore_missing_inputs  bool
        inputs                 slist
        lastseenexpireafter    int     0..inf
        output_prefix          str
        package_inventory      slist
        package_module         str
        protocol_version       option  PROTOCOL
        require_comments       bool
        site_classes           clist   CONTEXT
        syslog_host            str     [a-zA-Z0-9_$(){}.:-]+
        syslog_port            int     0..inf
        system_log_level       str     (critical|error|warning|notice|info)
        tls_ciphers            str
        tls_min_version        str
        version                str
        """,
    "executor": """
        agent_expireafter           int     0..10080
        exec_command                str     PATH
        executorfacility            option  FACILITY
        mailfilter_exclude          slist
        mailfilter_include          slist
        mailfrom                    str     .*@.*
        mailmaxlines                int     0..1000
        mailsubject                 str
        mailto                      str     .*@.*
        runagent_socket_allow_users slist
        schedule                    slist
        smtpport                    int     0..10080 since=3.28
        smtpserver                  str
        splaytime                   int     0..inf
        """,
    "file": """
        evaluation_order str     (classic|top_down) since=3.27
        inputs           slist
        namespace        str     [a-zA-Z_][a-zA-Z0-9_]*
        """,
    "hub": """
        client_history_timeout int     1..65535
        exclude_hosts          slist
        export_zenoss          str     - removed
        hub_schedule           slist
        port                   int     1..65535
        query_timeout          int     0..300
        """,
    "monitor": """
        forgetrate      real    0..1
        histograms      bool
        monitorfacility option  FACILITY
        tcpdump         bool
        tcpdumpcommand  str     PATH
        """,
    "runagent": """
        background_children bool
        encrypt             bool
        force_ipv4          bool
        hosts               slist
        max_children        int     0..inf
        output_directory    str     PATH
        output_to_file      bool
        port                int     1..65535
        timeout             int     1..9999
        trustkey            bool
        """,
    "server": """
        allowallconnects      slist
        allowciphers          str
        allowconnects         slist
        allowlegacyconnects   slist
        allowtlsversion       str
        allowusers            slist
        auditing              bool
        bindtointerface       str
        call_collect_interval int     0..inf
        cfruncommand          str     .+
        collect_window        int     0..inf
        denybadclocks         bool
        denyconnects          slist
        dynamicaddresses      slist
        hostnamekeys          bool
        keycacheTTL           int     0..inf removed
        listen                bool
        logallconnections     bool
        logencryptedtransfers bool
        maxconnections        int     0..inf
        port                  int     1..65535
        serverfacility        option  FACILITY
        skipverify            slist   - deprecated
        trustkeysfrom         slist
        """,
}

CUSTOM_PROMISE = """
        interpreter str PATH
        path        str PATH
        """
# fmt: on


def _row(line: str) -> Attribute:
    name, kind, *rest = line.split()
    written = rest[0] if rest else "-"
    found = Attribute(name, kind, "" if written == "-" else RANGES.get(written, written))
    for mark in rest[1:]:
        if mark.startswith("since="):
            found = found._replace(since=mark[6:])
        else:
            found = found._replace(status=mark)
    return found


def _rows(text: str) -> dict[str, Attribute]:
    return {row.name: row for row in map(_row, text.strip().splitlines())}


IN_EVERY_PROMISE = _rows(GLOBAL)
IN_EVERY_BODY = _rows(EVERY_BODY)
OF_PROMISES = {name: _rows(text) for name, text in PROMISES.items()}
OF_BODIES = {name: _rows(text) for name, text in (BODIES | CONTROL_BODIES).items()}
OF_BODIES["promise"] = _rows(CUSTOM_PROMISE)


def attribute(promise_type: str, name: str) -> Attribute | None:
    """What the attribute NAME of a promise type of the language is, None if it has none."""
    return IN_EVERY_PROMISE.get(name) or OF_PROMISES[promise_type].get(name)


def body_attribute(body_type: str, name: str) -> Attribute | None:
    """What the attribute NAME of a body of a type of the language is, None if it has none."""
    return IN_EVERY_BODY.get(name) or OF_BODIES[body_type].get(name)


def kind_of(promise_type: str, name: str) -> str:
    """The type of an attribute, `custom` if only a module knows it."""
    found = IN_EVERY_PROMISE.get(name)
    if found is None and promise_type not in OF_PROMISES:
        return "custom"
    found = found or OF_PROMISES[promise_type].get(name)
    return found.type if found is not None else ""


def body_kind(body_type: str, name: str) -> str:
    """The type of an attribute of a body, `custom` if only a module knows it."""
    found = IN_EVERY_BODY.get(name)
    if found is None and body_type not in OF_BODIES:
        return "custom"
    found = found or OF_BODIES[body_type].get(name)
    return found.type if found is not None else ""


def bundles_with(promise_type: str) -> tuple[str, ...]:
    """The types of bundle that may have promises of this type."""
    if promise_type in EVERYWHERE:
        return tuple(BUNDLES)
    return tuple(name for name, types in BUNDLES.items() if promise_type in types)
